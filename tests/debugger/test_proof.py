"""What is kept of a self-test, and who is believed. The process that tests is the real one."""

from __future__ import annotations

import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.errors import DebuggerError
from stagedoor.tracing import Release, releases
from stagedoor.worker import proof, selftest_process
from stagedoor.worker.proof import Proof
from support.releases import BROKEN, copy_of_debugpy
from support.waiting import wait_for

NEWER = "1.8.23"


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's runtime directory, for these tests alone."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    yield tmp_path / "stagedoor"
    releases._proved.discard(NEWER)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """A newer one, which behaves as the known one."""
    return Release(NEWER, str(Path(copy_of_debugpy(tmp_path / "site", NEWER), "debugpy", "__init__.py")), True)


def prove(release: Release) -> str:
    """What the log says in the end."""
    with closing(Proof(release)) as running:
        wait_for(running.go_on, "the self-test", timeout=60, every=0.05)
        return running.passed


def was_tested(said: str) -> bool:
    """Whether it was tested, and not believed."""
    return "it has just passed" in said


def kept(runtime: Path) -> Path:
    (found,) = runtime.glob("debugpy-*.json")
    return found


def test_what_has_passed_is_believed_by_the_next_process(runtime: Path, release: Release) -> None:
    assert was_tested(prove(release))
    assert kept(runtime).stat().st_mode & 0o777 == 0o600
    said = prove(release)
    assert not was_tested(said)
    assert str(kept(runtime)) in said


POISON: dict[str, Callable[[Path], object]] = {
    "a file that others can read": lambda file: file.chmod(0o644),
    "a file that others can write": lambda file: file.chmod(0o622),
    "a file with another name elsewhere": lambda file: os.link(file, file.with_name("elsewhere")),
    "a link": lambda file: file.symlink_to(file.rename(file.with_name("elsewhere"))),
    "half a file": lambda file: file.write_bytes(file.read_bytes()[:40]),
    "no object": lambda file: file.write_text("[]"),
    "an empty file": lambda file: file.write_text(""),
    "that of another Python": lambda file: _change(file, "python", "cpython 3.11.0"),
    "that of another debugpy": lambda file: _change(file, "debugpy", "1.8.24 in /srv"),
    "that of other files": lambda file: _change(file, "debugpy's files", "0" * 64),
    "that of another Stagedoor": lambda file: _change(file, "stagedoor", "0.0.1"),
    "one that says nothing of what failed": lambda file: file.write_text('{"key": {}, "at": 0}'),
}


def _change(file: Path, key: str, value: str) -> None:
    document = json.loads(file.read_text())
    document["key"][key] = value
    file.write_text(json.dumps(document))


@pytest.mark.parametrize("what", POISON)
def test_a_file_that_cant_be_trusted_proves_nothing(runtime: Path, release: Release, what: str) -> None:
    running = Proof(release)
    running._keep({"failed": {}})
    assert running._kept() == json.loads(kept(runtime).read_text())
    POISON[what](kept(runtime))
    assert running._kept() is None


def test_a_directory_that_others_can_write_to_proves_nothing(runtime: Path, release: Release) -> None:
    running = Proof(release)
    running._keep({"failed": {}})
    runtime.chmod(0o777)
    assert running._kept() is None
    # And nothing is left there for others to find.
    runtime.chmod(0o700)
    kept(runtime).unlink()
    runtime.chmod(0o777)
    running._keep({"failed": {}})
    assert not list(runtime.glob("debugpy-*.json"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_proves_nothing(runtime: Path, release: Release) -> None:
    running = Proof(release)
    running._keep({"failed": {}})
    os.chown(kept(runtime), 65534, -1)
    assert running._kept() is None


def test_changed_files_are_tested_anew(runtime: Path, release: Release) -> None:
    Proof(release)._keep({"failed": {}})
    assert Proof(release)._kept() is not None
    (Path(release.file).parent / "server" / "api.py").touch()
    assert Proof(release)._kept() is None


def test_a_failure_is_believed_for_a_while(runtime: Path, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    running = Proof(release)
    running._keep({"failed": {"an error stops": "it did not"}})
    with pytest.raises(
        DebuggerError, match=r'fails the self-test "an error stops": it did not\. Install debugpy 1\.8\.22'
    ):
        prove(release)
    now = time.time()
    for away in (proof.FAILED_FOR + 1, -10):  # Over, and a clock that was set back.
        monkeypatch.setattr(time, "time", lambda away=away: now + away)
        assert running._kept() is None


def test_what_could_not_be_tested_is_not_kept(runtime: Path, release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest_process, "python_executable", lambda: "/bin/false")
    with pytest.raises(DebuggerError, match="it could not be tested: the test could not run: it said nothing"):
        prove(release)
    assert not list(runtime.glob("debugpy-*.json"))


def test_a_test_of_another_debugpy_is_none(runtime: Path, release: Release) -> None:
    spec = importlib.util.find_spec("debugpy")
    assert spec is not None
    moved = Path(release.file).parent.rename(Path(release.file).parent.with_name("other"))
    with pytest.raises(DebuggerError, match=f"the test found {spec.origin}, and not {moved}"):
        prove(Release(NEWER, str(moved / "__init__.py"), True))


def test_a_test_that_hangs_is_ended(runtime: Path, release: Release) -> None:
    api = Path(release.file).parent / "server" / "api.py"
    api.write_text("import time\ntime.sleep(600)\n")
    with (
        closing(Proof(release, patience=2.0)) as running,
        pytest.raises(DebuggerError, match="the test did not end within 2 s"),
    ):
        wait_for(running.go_on, "the self-test", timeout=30, every=0.05)


def test_where_nothing_can_be_kept_each_process_tests_for_itself(
    runtime: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime.write_text("a file where the directory would be")
    assert was_tested(prove(release))
    assert was_tested(prove(release))


def test_of_several_workers_one_tests(runtime: Path, release: Release) -> None:
    said: list[str] = []
    workers = [threading.Thread(target=lambda: said.append(prove(release))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert sorted(map(was_tested, said)) == [False, False, False, True]


def test_a_worker_that_ends_half_way_leaves_the_test_to_the_next(runtime: Path, release: Release) -> None:
    first, second = Proof(release), Proof(release)
    assert not first.go_on()
    assert not second.go_on()
    assert first._test is not None
    assert second._test is None
    first.close()
    assert was_tested(prove(release))
    second.close()


def test_a_lock_that_is_never_released_is_not_waited_for_for_good(runtime: Path, release: Release) -> None:
    hung, waiting = Proof(release), Proof(release)
    assert hung._take_lock()
    assert not waiting.go_on()
    assert waiting._test is None
    waiting._until = time.monotonic()  # Its patience is over.
    wait_for(lambda: waiting.go_on() or waiting._test is not None, "it to test all the same")
    waiting.close()
    hung.close()


def open_files() -> set[str]:
    """Regular files only: the list itself takes a descriptor, and pytest has files of its own."""
    found = (os.path.realpath(f"/proc/self/fd/{entry}") for entry in os.listdir("/proc/self/fd"))
    return {file for file in found if "deleted" in file or file.endswith(".lock")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_forked_child_takes_no_lock_and_no_file_with_it(runtime: Path, release: Release) -> None:
    before = open_files()
    running = Proof(release)
    running.go_on()
    assert running._lock is not None
    assert len(open_files() - before) == 2
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, json.dumps(sorted(open_files() - before)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert json.loads(pipe.read()) == []
    os.waitpid(child, 0)
    # The parent's lock is still its own.
    other = Proof(release)
    assert not other._take_lock()
    running.close()
    assert other._take_lock()
    other.close()


def test_a_broken_one_is_refused_and_stays_refused(runtime: Path, tmp_path: Path) -> None:
    path = copy_of_debugpy(tmp_path / "broken", NEWER, BROKEN["its end leaves a thread"])
    release = Release(NEWER, str(Path(path, "debugpy", "__init__.py")), True)
    for _ in range(2):
        with pytest.raises(DebuggerError, match=r"the end leaves nothing.*not as it was before: threads"):
            prove(release)
    assert NEWER not in releases._proved
