"""The gatekeeper's window and its control socket: workers, commands, what ends it, and what the developer is told."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Start
from stagedoor.control import place, protocol
from stagedoor.control.config import GatekeeperConfig
from stagedoor.errors import DebuggerError
from stagedoor.gatekeeper.expiry import why_unneeded
from stagedoor.gatekeeper.patience import FOREGROUND, USUAL, Patience
from stagedoor.gatekeeper.process import Gatekeeper
from stagedoor.settings.bind import parse_bind
from stagedoor.settings.settings import Settings
from stagedoor.switches import FileSwitch
from stagedoor.window.document import dump_window
from stagedoor.window.window import Window
from support.scripted import MAX_WINDOW, RunningGatekeeper, ScriptedWorker, console, replaced, some_window, wait_console
from support.servers import ALLOWED, free_port, is_listening
from support.waiting import wait_for

NOBODY_ATTACHED = {"welcome": {"sessions": {"revision": 0, "owners": {}}}}


class Switched:
    """A gatekeeper that watches a file switch."""

    def __init__(self, start: Start, folder: Path, for_: timedelta = timedelta(minutes=10), **keywords: Any) -> None:
        self.switch = FileSwitch(folder / "switch" / "window.json", max_window=MAX_WINDOW)
        window = self.switch.open(for_, opened_by="alice@staging")
        self.gatekeeper = start(window, switch=self.switch.name, switch_path=str(self.switch.path), **keywords)


# Hello

OTHER_WINDOW = some_window()


def test_a_worker_of_another_window_is_told_to_come_again(gatekeeper: RunningGatekeeper) -> None:
    worker = ScriptedWorker(gatekeeper, window=gatekeeper.config.window_id(OTHER_WINDOW))
    assert worker.answer == {"refused": "it serves another window", "again": True}
    worker.wait_over()
    worker.close()
    assert gatekeeper.status()["workers"] == []


def test_a_worker_with_other_settings_is_told_which_ones_could_differ(gatekeeper: RunningGatekeeper) -> None:
    worker = ScriptedWorker(gatekeeper, digest="another")
    assert "allow, require_token, max_window" in worker.answer["refused"]
    assert "again" not in worker.answer
    worker.close()


@pytest.mark.parametrize("hello", [{"digest": "another"}, {"window": "another"}], ids=["settings", "window"])
def test_a_gatekeeper_that_was_left_by_its_workers_makes_room_for_those_it_does_not_fit(
    start: Start, hello: dict[str, Any]
) -> None:
    """The server was restarted, with other settings or with another window in its environment."""
    gatekeeper = start(patience=Patience(idle=60.0))
    first = gatekeeper.worker()
    other = ScriptedWorker(gatekeeper, pid=first.pid + 1, **hello)
    assert "refused" in other.answer
    first.close()
    wait_for(lambda: gatekeeper.status()["workers"] == [], "the first worker to be gone")
    again = ScriptedWorker(gatekeeper, **hello)
    assert again.answer["again"] is True
    assert gatekeeper.ended(2).endswith("and its workers start another gatekeeper: attach again.")
    for worker in (other, again):
        worker.close()


def test_a_gatekeeper_in_the_foreground_makes_no_room(gatekeeper: RunningGatekeeper) -> None:
    ScriptedWorker(gatekeeper, digest="another").close()
    with pytest.raises(AssertionError, match="has not ended"):
        gatekeeper.ended(0.3)


def test_a_process_joins_once(gatekeeper: RunningGatekeeper) -> None:
    first = gatekeeper.worker()
    second = gatekeeper.worker()
    assert second.answer["refused"].startswith(f"process {first.pid} has joined it already")
    assert second.answer["remedy"] == "Wrap the outermost application only."
    assert "again" not in second.answer
    session = gatekeeper.attach()
    first.wait_told(lambda message: "sessions" in message, "the session")
    session.disconnect()


def test_a_process_that_says_hello_again_waits_for_its_last_connection_to_end(gatekeeper: RunningGatekeeper) -> None:
    first = gatekeeper.worker()
    threading.Timer(0.1, first.close).start()
    assert "welcome" in gatekeeper.worker().answer


def test_workers_of_another_container_are_known_by_what_they_say(
    gatekeeper: RunningGatekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel gives 0 as the number of a process that has none in the gatekeeper's namespace."""
    monkeypatch.setattr(place, "peer_credentials", lambda connection: (0, os.geteuid()))
    workers = [gatekeeper.worker(pid=pid) for pid in (101, 102)]
    assert [worker.answer for worker in workers] == [NOBODY_ATTACHED] * 2
    assert [worker["pid"] for worker in gatekeeper.status()["workers"]] == [101, 102]


def config(**changes: Any) -> GatekeeperConfig:
    usual: dict[str, Any] = {
        "bind": "127.0.0.1:5678",
        "allow": (ALLOWED,),
        "require_token": False,
        "max_window": 60.0,
        "switch": "the switch",
        "switch_path": None,
        "control": "/control",
    }
    return GatekeeperConfig(**(usual | changes))


CHANGES: list[dict[str, Any]] = [
    {"bind": "127.0.0.1:5679"}, {"allow": ("127.0.0.4",)}, {"allow": ()}, {"require_token": True}, {"max_window": 61.0},
    {"switch": "another"}, {"switch_path": "/window.json"}, {"audit_expressions": False},
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_settings_that_decide_who_may_attach_or_what_is_written_are_told_apart(change: dict[str, Any]) -> None:
    assert config(**change).digest != config().digest
    assert (config(**change), OTHER_WINDOW) == GatekeeperConfig.load(config(**change).dump(OTHER_WINDOW))


def test_the_order_of_the_allowlist_makes_no_other_settings() -> None:
    """A set has another order in each process."""
    first, second = (
        Settings.read(allow=allow, environ={}).gatekeeper_config()
        for allow in (["10.0.0.1", "10.0.0.2"], ["10.0.0.2", "10.0.0.1"])
    )
    assert first.digest == second.digest


BROKEN_CONFIGS = ["", "nope", "[]", "{}", "1", '{"allow": 1}', '{"allow": []}', '{"allow": [], "bind": ""}']


@pytest.mark.parametrize("text", BROKEN_CONFIGS)
def test_a_configuration_that_is_none_raises_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"configuration|JSON|Expecting"):
        GatekeeperConfig.load(text)


def test_windows_are_told_apart_by_their_tokens() -> None:
    window = some_window()
    assert config().window_id(window) == config().window_id(replaced(window, timedelta(minutes=20)))
    assert config().window_id(window) != config().window_id(some_window())
    assert window.token not in config().window_id(window)


def test_where_every_worker_makes_up_a_token_windows_are_told_apart_by_their_ends() -> None:
    unshared = config(shared_token=False)
    window = some_window()
    same_end = Window(window.opened_at, window.expires_at, window.opened_by, "another-token-of-another-process")
    assert unshared.window_id(window) == unshared.window_id(same_end)
    assert unshared.window_id(window) != unshared.window_id(replaced(window, timedelta(minutes=20)))


# What comes over the control socket

CONTROL_NONSENSE = {
    "nothing": b"",
    "an HTTP request": b"GET / HTTP/1.1\r\n\r\n",
    "a line without an end": b"{" * 1000,
    "a line that is too long": b"x" * (protocol.LINE_CAP + 10),
    "a hello that is a number": b'{"hello": 1}\n',
    "an empty hello": b'{"hello": {}}\n',
    "an unknown purpose": b'{"future": {}}\n',
    "no purpose": b"{}\n",
    "a list": b"[]\n",
}


@pytest.mark.parametrize("data", CONTROL_NONSENSE.values(), ids=CONTROL_NONSENSE.keys())
def test_nonsense_on_the_control_socket_does_no_harm(gatekeeper: RunningGatekeeper, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(gatekeeper.config.control)
        peer.settimeout(5)
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        assert peer.recv(1000) == b""
    assert gatekeeper.status()["workers"] == []


TWO_PURPOSES = [("hello", "debuggee"), ("hello", "status"), ("debuggee", "close"), ("status", "close")]


@pytest.mark.parametrize("purposes", TWO_PURPOSES, ids=" and ".join)
def test_a_first_line_with_two_purposes_is_refused_and_does_neither(
    gatekeeper: RunningGatekeeper, purposes: tuple[str, str]
) -> None:
    hello = {"digest": gatekeeper.config.digest, "window": gatekeeper.config.window_id(gatekeeper.window), "pid": 1}
    answer = gatekeeper.ask(dict.fromkeys(purposes, hello))
    assert answer == {
        "refused": f"the first line is for one purpose, and this one names {purposes[0]} and {purposes[1]}"
    }
    assert gatekeeper.status()["workers"] == []


def test_who_does_not_say_what_the_connection_is_for_is_not_waited_for(start: Start) -> None:
    gatekeeper = start(patience=Patience(first_line=0.1, idle=None))
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(gatekeeper.config.control)
        peer.settimeout(5)
        assert peer.recv(1000) == b""


WORKER_NONSENSE: dict[str, Any] = {
    "a thread that is none": {"paused": {"thread": "x"}},
    "a thread that is a list": {"resumed": {"thread": []}},
    "a window that is none": {"window": 1},
    "a window without an end": {"window": {"opened_at": "2026-11-22T18:00:00Z"}},
}


@pytest.mark.parametrize("message", WORKER_NONSENSE.values(), ids=WORKER_NONSENSE.keys())
def test_a_worker_that_talks_nonsense_is_dropped_and_nobody_else(
    gatekeeper: RunningGatekeeper, message: dict[str, Any]
) -> None:
    session = gatekeeper.attach()
    worker = gatekeeper.worker()
    worker.say(message)
    worker.wait_over()
    wait_for(lambda: gatekeeper.status()["workers"] == [], "the worker to be dropped")
    session.request("threads")


def test_a_debugger_of_a_process_that_has_not_said_hello_is_dropped(gatekeeper: RunningGatekeeper) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(gatekeeper.config.control)
        peer.settimeout(5)
        peer.sendall(protocol.encode({"debuggee": {"pid": os.getpid()}}))
        assert peer.recv(1000) == b""


# Status


def test_the_status_tells_of_clients_workers_and_paused_requests(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    before = gatekeeper.status()
    assert before["sessions"] == []
    assert before["workers"] == [
        {"pid": worker.pid, "seconds": 0, "joined": False, "joined_seconds": None, "attached": False, "paused": []}
    ]
    session = gatekeeper.attach()
    worker.bring_debugger()
    wait_console(session, "joined")
    worker.say({"paused": {"thread": 1, "request": "GET /checkout", "place": "views.py:12"}})
    worker.say({"paused": {"thread": 2, "request": "GET /basket", "place": "views.py:20"}})
    worker.say({"resumed": {"thread": 2}})
    status = wait_for(lambda: paused_status(gatekeeper), "one paused request")
    [shown] = status["workers"]
    assert shown["joined"]
    assert shown["joined_seconds"] in (0, 1)
    assert shown["attached"]
    [pause] = shown["paused"]
    assert (pause["request"], pause["place"]) == ("GET /checkout", "views.py:12")
    assert 0 <= pause["seconds"] < 5
    assert [(each["owner"], each["address"]) for each in status["sessions"]] == [("*", ALLOWED)]
    assert status["bind"] == gatekeeper.config.bind
    assert status["allow"] == [ALLOWED]
    assert status["opened_by"] == "the tests"
    assert 590 < status["seconds_left"] <= 600
    assert gatekeeper.window.token not in str(status)


def paused_status(gatekeeper: RunningGatekeeper) -> dict[str, Any] | None:
    status = gatekeeper.status()
    return status if len(status["workers"][0]["paused"]) == 1 else None


# The beginning


def test_a_port_that_is_taken_is_named_with_what_to_do(gatekeeper: RunningGatekeeper) -> None:
    second = Gatekeeper(replace(gatekeeper.config, control=f"{gatekeeper.config.control}-2"), gatekeeper.window)
    with pytest.raises(DebuggerError, match=r"The debug port 127\.0\.0\.1:\d+ can't be opened: .*in use") as caught:
        second.listen()
    assert "choose another one with bind" in caught.value.remedy


@pytest.mark.parametrize(
    ("bind", "remedy"),
    [
        ("unix:{here}/shop/debug.sock", "Make the directory {here}/shop, for this user alone."),
        ("unix:{here}/file", "End the process that has it, or choose another one"),
        ("203.0.113.7:5678", "Choose an address that this machine has"),
    ],
)
def test_one_that_can_not_be_opened_is_told_with_a_remedy_of_its_own(
    gatekeeper: RunningGatekeeper, tmp_path: Path, bind: str, remedy: str
) -> None:
    (tmp_path / "file").touch()
    config = replace(gatekeeper.config, control=f"{gatekeeper.config.control}-2", bind=bind.format(here=tmp_path))
    with pytest.raises(DebuggerError, match=r"The debug port .* can't be opened") as caught:
        Gatekeeper(config, gatekeeper.window).listen()
    assert remedy.format(here=tmp_path) in caught.value.remedy


def test_a_control_socket_that_is_served_is_left_alone_and_so_is_the_port(gatekeeper: RunningGatekeeper) -> None:
    bind = f"127.0.0.1:{free_port()}"
    with pytest.raises(DebuggerError, match="The control socket can't be opened: Another process listens"):
        Gatekeeper(replace(gatekeeper.config, bind=bind), gatekeeper.window).listen()
    assert not is_listening(parse_bind(bind).port)
    assert gatekeeper.status()["pid"] == os.getpid()


# The end


def test_it_ends_when_the_window_ends(start: Start) -> None:
    gatekeeper = start(some_window(timedelta(seconds=0.5)))
    session = gatekeeper.attach()
    worker = gatekeeper.worker()
    worker.wait_told(lambda message: "closed" in message, "the end")
    assert abs(gatekeeper.window.expires_at.timestamp() - time.time()) < 1  # As promised.
    assert "The window has reached its end." in wait_console(session, "end.")
    session.disconnect()
    assert gatekeeper.ended() == "The window has reached its end."
    assert any(line.startswith("ended: the gatekeeper on 127.0.0.1:") for line in worker.audit())


def test_it_ends_when_the_switch_is_closed(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path)
    switched.switch.close()
    assert switched.gatekeeper.ended(1) == "The window was closed."


def test_it_ends_when_another_window_takes_the_place_of_its_own(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path)
    switched.switch.close()
    switched.switch.open(timedelta(minutes=10), opened_by="bob@staging")
    assert switched.gatekeeper.ended(1) == "The window was closed."


def test_it_ends_when_the_switch_cannot_be_trusted(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path)
    os.chmod(switched.switch.path, 0o666)
    assert switched.gatekeeper.ended(1).startswith("The switch can't be trusted: the file switch ")


def test_it_ends_within_a_second_when_no_worker_is_left_and_nobody_is_attached(start: Start) -> None:
    gatekeeper = start(patience=Patience(idle=1.0))
    worker = gatekeeper.worker()
    with pytest.raises(AssertionError, match="has not ended"):
        gatekeeper.ended(1.5)
    worker.close()
    assert gatekeeper.ended(1) == "No worker is left, and nobody is attached."


def test_it_ends_when_no_worker_ever_comes(start: Start) -> None:
    assert start(patience=Patience(idle=0.3)).ended(1) == "No worker has come within 0.3 s."


LEFT, ORPHANED = USUAL.left, USUAL.orphaned

NEEDED: dict[str, tuple[dict[str, Any], str | None]] = {
    "a worker is there": ({"alone": 0.0, "unattended": 99.0}, None),
    "a worker and a client are there": ({"alone": 0.0, "unattended": 0.0}, None),
    "the first worker may still come": ({"alone": 9.9, "unattended": 9.9, "had_workers": False}, None),
    "no worker came": ({"alone": 10.1, "unattended": 10.1, "had_workers": False}, "No worker has come within 10 s."),
    "the last worker has just left": ({"alone": LEFT - 0.1, "unattended": 99.0}, None),
    "the last worker has left": ({"alone": LEFT + 0.1, "unattended": 99.0}, "No worker is left, and nobody is"),
    "the client has just left": ({"alone": 99.0, "unattended": LEFT - 0.1}, None),
    "the client has left too": ({"alone": 99.0, "unattended": LEFT + 0.1}, "No worker is left, and nobody is"),
    "a client waits for a restart": ({"alone": 99999.0, "unattended": 0.0}, None),
    "a client waits before the first worker": ({"alone": 99.0, "unattended": 0.0, "had_workers": False}, None),
    "only workers read the switch": ({"alone": ORPHANED, "unattended": 0.0, "reads_switch": False}, None),
    "only workers read it, and they stay away": (
        {"alone": ORPHANED + 0.1, "unattended": 0.0, "reads_switch": False}, "only workers can tell",
    ),
    "only workers read it, nobody is attached": ({"alone": 1.0, "unattended": 1.0, "reads_switch": False}, "No worker"),
    "in the foreground": ({"alone": 999.0, "unattended": 999.0, "patience": FOREGROUND}, None),
    "in the foreground, only workers read the switch": (
        {"alone": 999.0, "unattended": 0.0, "patience": FOREGROUND, "reads_switch": False}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("case", "why"), NEEDED.values(), ids=NEEDED.keys())
def test_who_needs_a_gatekeeper(case: dict[str, Any], why: str | None) -> None:
    usual = {"had_workers": True, "reads_switch": True, "patience": USUAL}
    answer = why_unneeded(**(usual | case))
    assert answer is None if why is None else why in str(answer)


def test_a_developer_who_is_attached_stays_while_the_server_restarts(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path, patience=Patience(idle=5.0))
    gatekeeper = switched.gatekeeper
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.close()
    until = gatekeeper.status()["expires_at"]
    wait_console(session, f"no worker is left: the server restarts, or has ended. This session stays until {until}")
    with pytest.raises(AssertionError, match="has not ended"):
        gatekeeper.ended(1.5)
    again = gatekeeper.worker()
    assert again.answer["welcome"]["sessions"]["owners"] == {"*": "s1"}
    wait_console(session, f"worker {again.pid} is there, the first one again")
    again.bring_debugger("GET /view")
    wait_console(session, f"worker {again.pid} joined for GET /view: breakpoints are set there.")
    second = gatekeeper.worker(pid=again.pid + 1)
    second.close()
    assert sum("the first one again" in line for line in console(session)) == 1


def test_when_the_server_never_comes_back_it_stays_until_the_client_leaves(start: Start, tmp_path: Path) -> None:
    gatekeeper = Switched(start, tmp_path, patience=Patience(idle=5.0)).gatekeeper
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.close()
    wait_console(session, "no worker is left")
    with pytest.raises(AssertionError, match="has not ended"):
        gatekeeper.ended(1.0)
    session.close()  # Without a farewell, as when the kernel finds its machine gone.
    assert gatekeeper.ended(1.5) == "No worker is left, and nobody is attached."
    assert not is_listening(gatekeeper.port)


def test_in_the_foreground_it_stays_also_when_workers_and_client_have_gone(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.close()
    wait_console(session, "no worker is left")
    session.disconnect()
    with pytest.raises(AssertionError, match="has not ended"):
        gatekeeper.ended(1.0)
    assert gatekeeper.worker().answer["welcome"]["sessions"]["owners"] == {}


def test_the_end_of_the_window_comes_also_without_a_worker(start: Start) -> None:
    gatekeeper = start(some_window(timedelta(seconds=1.5)), patience=Patience(idle=5.0))
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.close()
    wait_console(session, "no worker is left")
    wait_console(session, "The window has reached its end.")
    session.disconnect()
    assert gatekeeper.ended() == "The window has reached its end."
    assert abs(gatekeeper.window.expires_at.timestamp() - time.time()) < 1


def test_closing_comes_also_without_a_worker(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path, patience=Patience(idle=5.0))
    worker = switched.gatekeeper.worker()
    session = switched.gatekeeper.attach()
    worker.close()
    wait_console(session, "no worker is left")
    switched.switch.close()
    wait_console(session, "The window was closed.")
    session.disconnect()
    assert switched.gatekeeper.ended(1) == "The window was closed."


def test_where_only_workers_can_tell_of_the_window_it_waits_for_them_for_a_while(start: Start) -> None:
    """It was in the memory of a process that was killed, or in the environment of one that is restarted without it."""
    gatekeeper = start(patience=Patience(orphaned=0.5, idle=5.0))
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.close()
    wait_console(session, "no worker is left: the server restarts, or has ended. This session stays until ")
    wait_console(session, "it ends sooner if none comes within")
    wait_console(session, "only workers can tell whether the window is still open")
    session.disconnect()
    gatekeeper.ended(1)


@pytest.mark.parametrize(
    ("hello", "how"),
    [({"digest": "another"}, "with other settings (allow,"), ({"window": "another"}, "in another window")],
)
def test_whoever_is_attached_is_told_why_another_gatekeeper_takes_the_place(
    start: Start, tmp_path: Path, hello: dict[str, Any], how: str
) -> None:
    gatekeeper = Switched(start, tmp_path, patience=Patience(idle=60.0)).gatekeeper
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.close()
    wait_console(session, "no worker is left")
    other = ScriptedWorker(gatekeeper, **hello)
    assert other.answer["again"] is True
    wait_console(session, f"The server was restarted {how}")
    session.disconnect()
    assert gatekeeper.ended(2).endswith("start another gatekeeper: attach again.")
    other.close()


def test_what_happens_while_there_is_no_worker_is_written_to_the_log_by_the_next(start: Start, tmp_path: Path) -> None:
    gatekeeper = Switched(start, tmp_path, patience=Patience(idle=60.0)).gatekeeper
    session = gatekeeper.attach()
    wait_console(session, "window opened by")
    worker = gatekeeper.worker()
    wait_for(lambda: any(line.startswith("attached: ") for line in worker.audit()), "the record of the client")
    session.disconnect()


def test_a_worker_tells_of_the_end_that_only_it_can_see(gatekeeper: RunningGatekeeper) -> None:
    gatekeeper.worker().say({"over": "The window was closed."})
    assert gatekeeper.ended(1) == "The window was closed."


def test_workers_that_leave_because_the_window_was_closed_are_not_told_of_as_lost(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path)
    gatekeeper = switched.gatekeeper
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    worker.bring_debugger()
    wait_console(session, "joined")
    switched.switch.close()
    worker.close()
    wait_console(session, "The window was closed.")
    session.disconnect()
    assert not any("has ended" in line for line in console(session))


def test_it_ends_though_a_worker_that_was_stopped_reads_nothing(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.attach()
    debugger = worker.bring_debugger(stuck=True)
    many = {"source": {"path": "/app.py"}, "breakpoints": [{"line": 1, "condition": "x" * 1000}] * 500}
    for _ in range(4):
        session.send("setBreakpoints", many)
    debugger.wait_full()
    gatekeeper.ask({"close": {}})
    assert gatekeeper.ended(3) == "The window was closed."


# The end is moved


def test_an_extended_window_is_noticed_and_told(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path, timedelta(seconds=2))
    session = switched.gatekeeper.attach()
    window = switched.switch.open(timedelta(minutes=30), opened_by="somebody else")
    line = wait_console(session, "now ends")
    assert line == f"Stagedoor: The window now ends at {window.expires_at:%Y-%m-%dT%H:%M:%SZ} (30m left)."
    assert switched.gatekeeper.status()["seconds_left"] > 1700


def test_a_shortened_window_is_warned_of_and_ends_early(start: Start, tmp_path: Path) -> None:
    switched = Switched(start, tmp_path)
    session = switched.gatekeeper.attach()
    switched.switch.open(timedelta(seconds=60), opened_by="somebody else")
    assert wait_console(session, "ends in") == "Stagedoor: The window ends in 1m."
    switched.switch.open(timedelta(seconds=0.4), opened_by="somebody else")
    assert switched.gatekeeper.ended(2) == "The window has reached its end."


def opened_long_ago(for_: timedelta) -> Window:
    window = some_window(for_)
    return replace(window, opened_at=window.opened_at - timedelta(hours=1))


def test_the_end_is_warned_of_five_minutes_before(start: Start) -> None:
    gatekeeper = start(opened_long_ago(timedelta(minutes=30)))
    session = gatekeeper.attach()
    moved = replace(gatekeeper.window, expires_at=some_window(timedelta(seconds=300.4)).expires_at)
    gatekeeper.worker().say({"window": dump_window(moved)})
    assert wait_console(session, "ends in") == "Stagedoor: The window ends in 5m."


def test_of_warnings_that_are_due_at_the_same_time_there_is_one(start: Start) -> None:
    gatekeeper = start(opened_long_ago(timedelta(minutes=30)))
    session = gatekeeper.attach()
    moved = replace(gatekeeper.window, expires_at=some_window(timedelta(seconds=59.9)).expires_at)
    gatekeeper.worker().say({"window": dump_window(moved)})
    wait_console(session, "ends in 1m.")
    gatekeeper.ask({"close": {}})
    wait_console(session, "closed")
    assert len([line for line in console(session) if "ends in" in line]) == 1


def test_an_end_that_only_workers_can_see_is_moved_by_them(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach()
    worker = gatekeeper.worker()
    worker.say({"window": dump_window(replaced(gatekeeper.window, timedelta(minutes=30)))})
    wait_console(session, "(30m left)")


NOT_MOVED = {
    "to more than max_window": lambda window: replace(window, expires_at=window.opened_at + MAX_WINDOW * 2),
    "by another window": lambda window: some_window(timedelta(minutes=30)),
}


@pytest.mark.parametrize("moved", NOT_MOVED.values(), ids=NOT_MOVED.keys())
def test_an_end_is_not_moved(gatekeeper: RunningGatekeeper, moved: Callable[[Window], Window]) -> None:
    worker = gatekeeper.worker()
    worker.say({"window": dump_window(moved(gatekeeper.window))})
    worker.say({"join": "GET /after"})
    assert gatekeeper.status()["seconds_left"] <= 600


# The debug console


def test_the_developer_is_told_whose_window_it_is_and_how_long(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach()
    end = gatekeeper.window.expires_at
    said = wait_console(session, "window")
    # A machine that is busy takes a second for what came before.
    assert re.sub(r"9m\d\ds left", "10m left", said) == (
        f"Stagedoor: window opened by the tests, until {end:%Y-%m-%dT%H:%M:%SZ} (10m left)."
        f" All that match and are no other developer's are debugged (allowed addresses: {ALLOWED}); waiting for the first."
    )


def test_what_a_worker_has_to_say_is_told(gatekeeper: RunningGatekeeper) -> None:
    session = gatekeeper.attach()
    worker = gatekeeper.worker()
    worker.say({"console": "GET /checkout is continued in 30 s (max_pause)."})
    assert wait_console(session, "max_pause") == "Stagedoor: GET /checkout is continued in 30 s (max_pause)."


def test_the_token_is_in_no_line_of_it_nor_of_the_log(gatekeeper: RunningGatekeeper) -> None:
    worker = gatekeeper.worker()
    session = gatekeeper.attach(stagedoorToken=gatekeeper.window.token)
    worker.bring_debugger()
    wait_console(session, "joined")
    session.disconnect()
    worker.wait_told(lambda message: "detached" in str(message), "the record of the end")
    assert gatekeeper.window.token not in " ".join(console(session) + worker.audit())


def test_one_worker_writes_the_records_and_another_takes_over(gatekeeper: RunningGatekeeper) -> None:
    first = gatekeeper.worker()
    gatekeeper.attach().disconnect()
    first.wait_told(lambda message: "detached" in str(message), "the record of the end")
    assert [line.partition(":")[0] for line in first.audit()] == ["attached", "detached"]
    with closing(first):
        pass
    second = gatekeeper.worker()
    gatekeeper.attach().disconnect()
    second.wait_told(lambda message: "detached" in str(message), "the record of the end")
