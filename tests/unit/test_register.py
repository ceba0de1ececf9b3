"""Which application has a window, which workers have seen it, and who records what: one of all, always."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import ServeGated
from stagedoor.application.identity import Application
from stagedoor.control.register import Register, holder, seen_by, tidy
from stagedoor.errors import SwitchError
from stagedoor.window.window import Window, format_time, new_window, window_id
from support.disks import full_disk
from support.servers import ALLOWED, OTHER
from support.waiting import wait_for

SHOP, BLOG = Application("1" * 16, "the shop"), Application("2" * 16, "the blog")
LONGEST = timedelta(hours=8)


def a_window() -> Window:
    return new_window(timedelta(minutes=30), opened_by="alice", max_window=LONGEST)


def moved(window: Window, by: timedelta) -> Window:
    return Window(window.opened_at, window.expires_at + by, window.opened_by, window.token)


def register(folder: Path, application: Application = SHOP, *, decides: bool = True) -> Register:
    return Register(folder, application, "the file switch /srv/window.json", window_id, decides=decides)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "window.json.d"


def test_the_application_that_comes_first_has_the_window(folder: Path) -> None:
    window = a_window()
    assert holder(folder, window_id(window)) is None
    assert register(folder).enter(window) == "opened"
    assert holder(folder, window_id(window)) == "the shop"
    with pytest.raises(SwitchError) as caught:
        register(folder, BLOG).enter(window)
    for said in ("the shop", "the blog", "STAGEDOOR_SWITCH", "/srv/window.json"):
        assert said in str(caught.value)
    assert register(folder).enter(window) is None, "after a restart"
    assert register(folder, BLOG).enter(a_window()) == "opened", "the next window is anybody's"


def test_a_full_disk_is_told_and_left_as_it_was(folder: Path) -> None:
    window = a_window()
    folder.mkdir(mode=0o700)
    with full_disk():
        for _ in range(3):
            with pytest.raises(SwitchError, match=r"can't be told.*See to it that this user can write to"):
                register(folder).enter(window)
    assert list(folder.iterdir()) == []
    assert register(folder).enter(window) == "opened"


def test_several_workers_record_each_thing_once(folder: Path) -> None:
    window = a_window()
    workers = [register(folder) for _ in range(8)]
    assert [worker.enter(window) for worker in workers].count("opened") == 1
    later = moved(window, timedelta(minutes=10))
    assert [worker.moved(later) for worker in workers].count(True) == 1
    assert register(folder).enter(later) is None, "a worker that comes later"
    earlier = moved(window, timedelta(minutes=-10))
    assert register(folder).enter(earlier) == "extended", "a worker that comes when nobody else has noticed"
    assert not any(worker.moved(earlier) for worker in workers)
    assert [worker.leave(earlier) for worker in workers].count(True) == 1


def test_a_window_that_is_no_longer_believed_is_not_free_for_another_application(folder: Path) -> None:
    window = a_window()
    workers = [register(folder) for _ in range(4)]
    for worker in workers:
        worker.enter(window)
    assert [worker.leave(window, is_over=False) for worker in workers].count(True) == 1
    with pytest.raises(SwitchError, match="the shop"):
        register(folder, BLOG).enter(window)
    assert register(folder).leave(window)
    assert not folder.exists()


def test_nothing_is_left(folder: Path) -> None:
    window = a_window()
    register(folder).enter(window)
    register(folder).moved(moved(window, timedelta(minutes=1)))
    assert register(folder).leave(window)
    assert not folder.exists()


def test_what_the_gatekeeper_has_there_stays(folder: Path) -> None:
    window = a_window()
    register(folder).enter(window)
    for name in ("control", "control.lock"):
        (folder / name).touch()
    register(folder).enter(a_window())
    register(folder).leave(window)
    assert {"control", "control.lock"} <= {path.name for path in folder.iterdir()}


OTHER_NAMESPACE = """
import os, sys
from pathlib import Path
from stagedoor.control.register import tidy
if os.fork() == 0:  # The first process whose numbers are those of the new namespace.
    tidy(Path(sys.argv[1]))
    os._exit(0)
os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_worker_of_another_container_is_not_taken_for_one_that_has_ended(folder: Path) -> None:
    """Its number is another one there, so that "close" would have found nobody and taken its window's end away."""
    unshare = ["unshare", "-p", sys.executable, "-c", OTHER_NAMESPACE, str(folder)]
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-p", "true"], check=False).returncode:
        pytest.skip("No namespace of processes can be made here.")
    window = a_window()
    worker = register(folder)
    worker.enter(window)
    assert subprocess.run(unshare, check=False).returncode == 0
    assert worker.leave(window), "its end is still for this one to record"


def test_workers_that_have_seen_the_window_are_counted(folder: Path) -> None:
    window = a_window()
    assert seen_by(folder, window_id(window)) == 0
    for _ in range(2):
        register(folder).enter(window)
    assert seen_by(folder, window_id(window)) == 1, "one process is one worker"
    assert seen_by(folder, window_id(a_window())) == 0


def test_a_window_that_was_closed_a_moment_ago_is_left_to_those_who_knew_it(folder: Path) -> None:
    first, second = a_window(), a_window()
    knows_both = register(folder)
    knows_both.enter(first)
    assert register(folder).enter(second) == "opened", "a worker that has never met the first"
    assert knows_both.leave(first), "which records its end"


def test_what_nobody_has_seen_the_end_of_goes_with_the_next_window(folder: Path) -> None:
    over = moved(a_window(), timedelta(hours=-1))
    register(folder).enter(over)
    register(folder).enter(a_window())
    assert not list(folder.glob(f"{window_id(over)}.*"))


def spoilt(folder: Path, window: Window) -> None:
    register(folder).enter(window)
    (folder / f"{window_id(window)}.application").write_text("[]")


def taken(folder: Path, window: Window) -> None:
    folder.touch()


def public(folder: Path, window: Window) -> None:
    folder.mkdir()
    folder.chmod(0o777)


@pytest.mark.parametrize("spoil", [spoilt, taken, public])
def test_where_it_cannot_be_told_the_window_is_closed(folder: Path, spoil: object) -> None:
    window = a_window()
    spoil(folder, window)  # type: ignore[operator]
    with pytest.raises(SwitchError, match="can't be told"):
        register(folder).enter(window)
    assert register(folder, decides=False).enter(window) == "opened", "but where it decides nothing"


def meet(folder: Path, window: Window, number: int, start: object, answers: object) -> None:
    mine = register(folder, SHOP if number % 2 else BLOG)
    start.wait()  # type: ignore[attr-defined]
    try:
        answers.put((number % 2, mine.enter(window)))  # type: ignore[attr-defined]
    except SwitchError:
        answers.put((number % 2, "refused"))  # type: ignore[attr-defined]


def test_of_two_applications_that_come_at_the_same_moment_exactly_one_has_it(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    window = a_window()
    start, answers = context.Barrier(8), context.Queue()
    processes = [context.Process(target=meet, args=(folder, window, number, start, answers)) for number in range(8)]
    for process in processes:
        process.start()
    found = [answers.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
    [winner] = [application for application, answer in found if answer == "opened"]
    assert sorted(str(answer) for application, answer in found if application == winner) == ["None"] * 3 + ["opened"]
    assert {answer for application, answer in found if application != winner} == {"refused"}
    assert seen_by(folder, window_id(window)) == 4


def test_what_workers_left_that_have_all_ended_can_be_taken_away(folder: Path) -> None:
    context = multiprocessing.get_context("fork")
    running, ended = a_window(), a_window()
    process = context.Process(target=lambda: register(folder).enter(ended))
    process.start()
    process.join(30)
    register(folder).enter(running)
    tidy(folder)
    assert {path.name.partition(".")[0] for path in folder.iterdir()} == {window_id(running)}
    assert register(folder).leave(running)


# In real servers


def test_a_window_of_eight_workers_is_in_the_log_once(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=8 threads=2")

    def recorded(event: str) -> int:
        return server.log.count(f"stagedoor.audit {event}: ")

    server.open()
    server.joined()
    folder, window = server.control_path.parent, server.switch.read()
    assert window is not None
    assert seen_by(folder, window_id(window)) == 8
    server.open(timedelta(minutes=20))
    wait_for(lambda: server.get("/pid", ALLOWED) and recorded("extended"), "the new end to be recorded")
    for _ in range(2):
        server.noticed()
    server.switch.close()
    server.noticed("closed")
    server.wait_until_no_thread()
    assert [recorded(event) for event in ("opened", "extended", "closed", "expired")] == [1, 1, 1, 0]
    assert not list(folder.glob(f"{window_id(window)}.*"))


def test_a_window_of_the_environment_is_in_the_log_once_too(serve_gated: ServeGated) -> None:
    until = format_time(datetime.now(UTC) + timedelta(seconds=6))
    server = serve_gated("gunicorn", "workers=4 threads=2", STAGEDOOR_UNTIL=until, STAGEDOOR_SWITCH="")
    wait_for(lambda: len({server.get("/pid", OTHER).body for _ in range(8)}) == 4, "each worker to serve somebody")
    wait_for(
        lambda: server.get("/pid", OTHER) and "stagedoor.audit expired: " in server.log, "the window's end in the log"
    )
    for _ in range(8):
        server.get("/pid", OTHER)
    assert [server.log.count(f"stagedoor.audit {event}: ") for event in ("opened", "expired")] == [1, 1]
    assert not list((server.runtime / "stagedoor").glob("*.d")), "nothing is left"


def test_the_second_application_of_a_user_stays_closed_and_says_who_has_the_window(
    serve_gated: ServeGated, tmp_path: Path
) -> None:
    first = serve_gated("waitress")
    second = serve_gated("waitress", app="support.application:debugged_application")
    assert os.path.dirname(first.switch.path) == os.path.dirname(second.switch.path)
    first.open()
    first.joined()
    for _ in range(3):
        assert "Stagedoor" not in second.get("/hello", ALLOWED).headers
    wait_for(lambda: second.get("/hello", ALLOWED) and "another application" in second.log, "the second to say so")
    assert second.log.count("stagedoor.audit refused: ") == 1
    assert "support.application.application" in second.log
    assert "STAGEDOOR_SWITCH" in second.log
    assert first.get("/hello", ALLOWED).headers["Stagedoor"].startswith("open")
