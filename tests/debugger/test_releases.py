"""Which debugpy is trusted: the one that is known, a newer one that has passed the self-test, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import ServeGated
from stagedoor.errors import DebuggerError
from stagedoor.tracing import debugger, internals
from stagedoor.tracing.releases import KNOWN, is_to_be_proved, standing
from support.gatekeepers import GatedServer
from support.releases import BROKEN, INSTALLED, MISFITS, copy_of_debugpy
from support.servers import ALLOWED, is_listening
from support.waiting import wait_for

NEWER = "1.8.23"


# -- By the number alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.8.22", "known"),
        ("1.8.23", "unproved"),
        ("1.8.22.post1", "unproved"),
        ("1.8.22+0.g1234567.dirty", "unproved"),
        ("1.8.23rc1", "unproved"),
        ("1.9.0", "unproved"),
        ("1.10.0", "unproved"),
        ("2.0", "unproved"),
        ("1.8.21", "older"),
        ("1.8.3", "older"),
        ("1.8", "older"),
        ("0+unknown", "unreadable"),
        ("unknown", "unreadable"),
        ("", "unreadable"),
        ("v1.8.22", "unreadable"),
    ],
)
def test_what_is_known_of_a_release_by_its_number(version: str, expected: str) -> None:
    assert standing(version) == expected


@pytest.mark.parametrize("version", ["1.8.21", "1.8.15", "unknown"])
def test_what_no_test_could_prove_is_refused_with_the_releases_that_are_known(version: str) -> None:
    with pytest.raises(DebuggerError, match=r"1\.8\.22") as refused:
        is_to_be_proved(version)
    assert version in str(refused.value)


def test_the_release_that_is_tested_here_is_a_known_one() -> None:
    assert INSTALLED in KNOWN


# -- By its names ------------------------------------------------------------------------------------------------------


def test_every_method_that_is_overridden_is_looked_up() -> None:
    debugger_class = internals.Internals().pydevd.PyDB
    written = vars(debugger.guarded_debugger_class(debugger_class))
    ours = {name for name in written if name == "__init__" or not name.startswith("__")}
    overridden = {name for name in ours if hasattr(debugger_class, name)}
    properties = {*debugger.OWN_PROPERTIES}
    assert overridden - properties == {*debugger.OVERRIDDEN}
    set_on_instances = {"_stagedoor", "_stagedoor_filters", "_stagedoor_reader"}
    assert ours - overridden - properties == {*debugger.OWN_NAMES} - set_on_instances
    assert properties <= ours


LOAD = "from stagedoor.tracing.internals import Internals; Internals()"


def error_of(script: str, **environ: str) -> str:
    """The last line that a process of its own prints on stderr."""
    answer = subprocess.run(
        [sys.executable, "-P", "-c", script], env={**os.environ, **environ}, capture_output=True, text=True, timeout=60
    )
    return answer.stderr.strip().rpartition("\n")[2]


@pytest.mark.parametrize("what", MISFITS)
def test_a_release_with_other_names_is_refused_before_anything_starts(what: str, tmp_path: Path) -> None:
    change, wrong = MISFITS[what]
    said = error_of(LOAD, PYTHONPATH=copy_of_debugpy(tmp_path, INSTALLED, change))
    assert f"debugpy {INSTALLED} is not built as Stagedoor knows it (" in said
    assert wrong in said
    assert said.endswith("install it afresh.")


# -- By its behaviour --------------------------------------------------------------------------------------------------


def self_test(path: str = "") -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-P", "-m", "stagedoor.tracing.selftest"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


def test_the_known_release_passes_the_self_test() -> None:
    found = self_test()
    assert found["failed"] == {}
    assert (found["debugpy"], found["python"]) == (INSTALLED, sys.version)


@pytest.mark.parametrize(
    ("what", "fact"),
    [
        ("it stops on no error", "an error stops"),
        ("it never pauses", "only the thread of a matching request stops"),
        ("it traces all threads", "others run on at full speed"),
        ("its end leaves a thread", "the end leaves nothing, and it starts again"),
    ],
)
def test_a_release_that_behaves_otherwise_fails_the_self_test(what: str, fact: str, tmp_path: Path) -> None:
    found = self_test(copy_of_debugpy(tmp_path, NEWER, BROKEN[what]))
    assert list(found["failed"]) == [fact]
    assert found["debugpy"] == NEWER


def test_a_release_that_was_not_proved_cant_be_started(tmp_path: Path) -> None:
    said = error_of(LOAD, PYTHONPATH=copy_of_debugpy(tmp_path, NEWER))
    assert said.endswith(f"debugpy {NEWER} has not passed Stagedoor's self-test. Install debugpy {KNOWN[-1]}.")


# -- In a server -------------------------------------------------------------------------------------------------------


def serve_with(serve_gated: ServeGated, folder: Path, version: str, *changes: Any, **environ: str) -> GatedServer:
    path = copy_of_debugpy(folder / "site", version, *changes)
    return serve_gated("gunicorn", "workers=2 threads=4", PYTHONPATH=path, **environ)


def refusal(server: GatedServer) -> str:
    """Why a matching request is not debugged, once that is known."""

    def said() -> str:
        header = server.get("/hello", ALLOWED).headers.get("Stagedoor", "")
        return header if "busy" in header and "tests it first" not in header else ""

    return wait_for(said, "a request that says why it is not debugged", timeout=30)


def results(server: GatedServer) -> list[Path]:
    return sorted((server.runtime / "stagedoor").glob("debugpy-*.json"))


def pause_and_resume(server: GatedServer) -> None:
    server.joined()
    ide = server.ide("view")
    paused = server.start_get("/view?mine", ALLOWED)
    ide.stopped().resume()
    assert paused.answer().body == "total 7 for mine"
    ide.disconnect()


def test_a_newer_release_is_proved_once_and_then_debugs(serve_gated: ServeGated, tmp_path: Path) -> None:
    server = serve_with(serve_gated, tmp_path, NEWER)
    server.open()
    said = wait_for(lambda: server.get("/hello", ALLOWED).headers.get("Stagedoor"), "a matching request")
    assert "client=waiting" in said or f"debugpy {NEWER} is new to Stagedoor, which tests it first" in said
    assert not is_listening(server.debug_port)
    pause_and_resume(server)
    assert server.log.count("it has just passed the self-test") == 1
    assert server.log.count("says that it has passed the self-test") == 1
    (kept,) = results(server)
    assert kept.stat().st_mode & 0o777 == 0o600
    # The next process believes it.
    server.switch.close()
    server.wait_until_gone(timeout=5)
    same = {"XDG_RUNTIME_DIR": str(server.runtime), "PYTHONPATH": str(tmp_path / "site")}
    (tmp_path / "other").mkdir()
    again = GatedServer(tmp_path / "other", "waitress", **same)
    try:
        again.open()
        said = f"{kept} says that it has passed"
        wait_for(
            lambda: again.get("/hello", ALLOWED) and said in again.log, "the next process to say that it believes it"
        )
        assert "it has just passed" not in again.log
    finally:
        again.stop()


@pytest.mark.parametrize("what", ["it stops on no error", "its end leaves a thread"])
def test_a_newer_release_that_fails_is_refused(serve_gated: ServeGated, tmp_path: Path, what: str) -> None:
    server = serve_with(serve_gated, tmp_path, NEWER, BROKEN[what])
    server.open()
    said = refusal(server)
    assert f"debugpy {NEWER} is not a release that Stagedoor knows, and on this Python it fails the self-test" in said
    assert f"Install debugpy {KNOWN[-1]}." in server.log
    assert server.get("/view?mine", ALLOWED).body == "total 7 for mine"
    assert not is_listening(server.debug_port)
    assert not server.report()["debugger_loaded"]


def test_an_older_release_is_refused_before_anything_starts(serve_gated: ServeGated, tmp_path: Path) -> None:
    server = serve_with(serve_gated, tmp_path, "1.8.21")
    server.open()
    assert "debugpy 1.8.21 is older than those that Stagedoor knows (1.8.22)" in refusal(server)
    assert not server.gatekeepers()
    assert not results(server)
    assert not server.report()["debugger_loaded"]


def test_a_newer_release_is_proved_for_the_listen_back_end_too(serve_gated: ServeGated, tmp_path: Path) -> None:
    path = copy_of_debugpy(tmp_path / "site", NEWER)
    server = serve_gated("waitress", PYTHONPATH=path, STAGEDOOR_DEBUGGER="listen")
    server.open()
    wait_for(
        lambda: "client=waiting" in server.get("/hello", ALLOWED).headers.get("Stagedoor", ""), "the port", timeout=30
    )
    assert "it has just passed the self-test" in server.log


def test_the_end_of_the_window_ends_the_self_test(serve_gated: ServeGated, tmp_path: Path) -> None:
    server = serve_with(serve_gated, tmp_path, NEWER)
    server.open()

    def tests() -> list[int]:
        server.get("/hello", ALLOWED)
        return self_tests(server.runtime)

    wait_for(tests, "the self-test to run")
    server.switch.close()
    wait_for(lambda: not self_tests(server.runtime), "the self-test to end", timeout=2)
    server.wait_until_no_thread()
    assert not results(server)
    # And nothing of it is in the way of the next window.
    server.open()
    pause_and_resume(server)


def self_tests(runtime: Path) -> list[int]:
    """The processes that run a self-test for the servers with this runtime directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_one = b"stagedoor.tracing.selftest" in (entry / "cmdline").read_bytes()
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if is_one and str(runtime).encode() in Path(f"/proc/{parent}/environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
