"""A forked child: no lock of ours is held in it, whoever held it in the parent, and nothing of the parent's is touched."""

from __future__ import annotations

import ast
import gc
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from stagedoor import forking
from stagedoor.dap.ide import Ide
from stagedoor.forking import Turn
from stagedoor.switches import MemorySwitch
from stagedoor.tracing import Pause, Tracing
from stagedoor.worker.waker import Waker
from support import application
from support.forks import forks, in_child
from support.modules import MODULES
from support.servers import ALLOWED
from support.stage import Response, Stage, make_environ
from support.waiting import wait_for

pytestmark = forks

MADE = ("Lock", "RLock", "Condition", "Event", "Semaphore", "BoundedSemaphore", "Barrier")
LOCK_TYPES = (type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Event)

#: What holds a lock and is not looked at below, and why.
NEVER_FORKED = {
    "gatekeeper.process.Gatekeeper._over": "asyncio's, which has no thread",
    "tracing.rehearsal.running.ends": "in the self-test's own process, which forks no children",
    "tracing.rehearsal.running.turns": "the same",
    "gatekeeper.foreground.run_in_foreground.told_to_end": "a process without other threads, which forks no children",
}
if sys.version_info < (3, 12):
    NEVER_FORKED["tracing.monitoring.SwitchedMonitoring._lock"] = "sys.monitoring begins with Python 3.12"


def locks_in_the_source() -> Iterator[str]:
    """Every place of the package that makes a lock or its like: ``module.Class.attribute``."""

    def walk(node: ast.AST, path: list[str]) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Assign, ast.AnnAssign)):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                for target in (each for outer in targets for each in getattr(outer, "elts", [outer])):
                    if any(isinstance(each, ast.Call) and is_lock(each) for each in ast.walk(child.value or child)):
                        name = target.attr if isinstance(target, ast.Attribute) else ast.unparse(target)
                        inside = path[:-1] if isinstance(target, ast.Attribute) or name.startswith("_") else path
                        yield ".".join([*inside, name])
            named = isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
            yield from walk(child, [*path, child.name] if named else path)

    for name, file in MODULES.items():
        yield from walk(ast.parse(file.read_text()), [name])


def is_lock(call: ast.Call) -> bool:
    return ast.unparse(call.func).rpartition(".")[2] in MADE


def locks_alive() -> dict[str, list[tuple[Any, str]]]:
    """The same names, with every object that holds one now, and its attribute."""
    found: dict[str, list[tuple[Any, str]]] = {}
    for holder in gc.get_objects():
        kind = type(holder)
        # pydevd's debugger is given up as a whole in a child.
        if str(kind.__module__).split(".")[0] == "stagedoor" and kind.__name__ != "GuardedDebugger":
            for attribute, value in list(getattr(holder, "__dict__", {}).items()):
                if isinstance(value, LOCK_TYPES):
                    for each in kind.__mro__:
                        name = f"{each.__module__}.{each.__qualname__}.{attribute}".removeprefix("stagedoor.")
                        found.setdefault(name, []).append((holder, attribute))
    for module in [each for name, each in sys.modules.items() if name.split(".")[0] == "stagedoor"]:
        for attribute, value in vars(module).items():
            if isinstance(value, LOCK_TYPES):
                found.setdefault(f"{module.__name__}.{attribute}".removeprefix("stagedoor."), []).append(
                    (module, attribute)
                )
    return found


def lock_in(value: Any) -> Any:
    if isinstance(value, threading.Event):
        value = value._cond  # type: ignore[attr-defined]
    return value


@contextmanager
def held_by_another_thread(locks: list[Any]) -> Iterator[None]:
    holding, release, trouble = threading.Event(), threading.Event(), []

    def hold() -> None:
        taken = []
        for lock in locks:
            if lock.acquire(timeout=5) if isinstance(lock, LOCK_TYPES[:2]) else lock.acquire():
                taken.append(lock)
            else:
                trouble.append(lock)
        holding.set()
        release.wait(30)
        for lock in reversed(taken):
            lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert holding.wait(30), "every lock to be held"
        assert not trouble
        yield
    finally:
        release.set()
        thread.join(30)


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """All that there is: a worker behind a gatekeeper, with a client attached and a request paused."""
    # The path of a Unix socket holds about 100 bytes, fewer than those of pytest's own folders may need.
    folder = tempfile.mkdtemp(prefix="stagedoor-tests-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    stage = Stage(debugger="gatekeeper")
    try:
        token = {"stagedoorToken": stage.open().token}
        wait_for(lambda: "client=waiting" in str(stage.workers[0].get("/hello").header), "the debugger to start")
        wait_for(lambda: stage.door._debugger._run.begun, "the gatekeeper")  # type: ignore[union-attr]
        lines = {application.__file__: [application.stop_line("view")]}
        with Ide((stage.host, stage.port), lines, arguments=token, source_address=(ALLOWED, 0)) as ide:
            request = stage.workers[0].start_get("/view?mine")
            stop = ide.stopped()
            yield stage
            stop.resume()
            assert request.result(10).text == "total 7 for mine"
    finally:
        stage.stop()
        shutil.rmtree(folder)


def test_every_lock_of_ours_is_free_in_a_forked_child_whoever_held_it_in_the_parent(paused: Stage) -> None:
    alive = locks_alive()
    unseen = set(locks_in_the_source()) - set(alive) - set(NEVER_FORKED)
    assert not unseen, "this test has to bring these to life, or NEVER_FORKED to say why they don't matter"
    places = {(id(holder), attribute): (name, holder, attribute) for name in alive for holder, attribute in alive[name]}
    pydevds = pydevds_locks()
    locks = {id(lock): lock for lock in (lock_in(getattr(holder, each)) for _, holder, each in places.values())}

    def still_held() -> list[str]:
        ours = [name for name, holder, attribute in places.values() if not is_free(lock_in(getattr(holder, attribute)))]
        return ours + [f"pydevd's {number}" for number, lock in enumerate(pydevds) if not is_free(lock._lock)]

    with held_by_another_thread([*locks.values(), *(lock._lock for lock in pydevds)]):
        assert in_child(still_held) == []


def is_free(lock: Any) -> bool:
    return (
        bool(lock.acquire(blocking=False)) if not isinstance(lock, threading.Condition) else bool(lock.acquire(False))
    )


def pydevds_locks() -> list[Any]:
    """They are not ours, but we call what takes them, and keep pydevd from patching ``os.fork`` as it would."""
    constants: Any = sys.modules["_pydevd_bundle.pydevd_constants"]
    locks = {id(lock): lock for each in constants._fork_safe_locks if (lock := each()) is not None}
    return list(locks.values())


def test_the_test_itself_sees_every_kind_of_lock() -> None:
    found = set(locks_in_the_source())
    assert {"worker.watch.WindowWatch._lock", "worker.joining.Joining._changed", "worker.life.Life.ready"} <= found
    assert {"tracing.tracing._Start.lock", "switches.memory.MemorySwitch._lock"} <= found
    assert set(NEVER_FORKED) - {"tracing.monitoring.SwitchedMonitoring._lock"} <= found


def test_a_child_opens_and_closes_a_window_of_the_memory_switch_that_was_being_opened() -> None:
    switch = MemorySwitch(max_window=timedelta(hours=1))

    def open_and_close() -> bool:
        switch.open(timedelta(minutes=1), opened_by="the child")
        return switch.close()

    with held_by_another_thread([switch._lock]):
        assert in_child(open_and_close) is True
    assert switch.read() is None


def test_a_window_of_the_memory_switch_is_not_the_childs_where_the_parent_could_not_close_it(paused: Stage) -> None:
    def what_a_matching_request_gets() -> str | None:
        response = Response()
        list(paused.door(make_environ("/hello", ALLOWED), response.start))
        return response.header

    assert paused.door.settings.switch.read() is not None
    assert in_child(what_a_matching_request_gets) is None
    assert paused.door.settings.switch.read() is not None


class SlowSocket(socket.socket):
    """One end of a connection, over which pydevd can't begin to speak before it is told to."""

    def __init__(self) -> None:
        self.other, mine = socket.socketpair()
        super().__init__(fileno=mine.detach())
        self.is_begun, self.go_on = threading.Event(), threading.Event()

    def settimeout(self, value: float | None) -> None:
        self.is_begun.set()
        self.go_on.wait(30)
        super().settimeout(value)


class Listener:
    def attached(self) -> None: ...
    def detached(self) -> None: ...
    def paused(self, pause: Pause) -> None: ...
    def resumed(self, pause: Pause, seconds: float) -> None: ...


@pytest.fixture
def startable() -> Iterator[Tracing]:
    made = Tracing(Listener())
    yield made
    made.stop()


def parts_of_pydevd() -> dict[str, Any]:
    """What a start or a stop puts something else in the place of."""
    pydevd = sys.modules["pydevd"]
    return {name: vars(pydevd)[name] for name in ("PyDB", "settrace", "start_client", "time")} | {"sys": sys.settrace}


def test_a_child_that_was_forked_while_a_debugger_was_started_finds_pydevd_as_it_is(startable: Tracing) -> None:
    Tracing.load()
    own = parts_of_pydevd()
    connection = SlowSocket()
    starting = threading.Thread(target=startable.start_over, args=(connection,))
    starting.start()
    try:
        assert connection.is_begun.wait(30)
        assert parts_of_pydevd() != own, "some are another's for a moment"
        assert in_child(lambda: [name for name, part in parts_of_pydevd().items() if part is not own[name]]) == []
    finally:
        connection.go_on.set()
        starting.join(30)
        connection.other.close()


def test_a_bell_that_was_ringing_is_silent_in_a_child_and_still_rings_in_the_parent() -> None:
    waker = Waker()
    forking.register(waker)
    with held_by_another_thread([waker._lock]):
        assert in_child(lambda: waker.wake() or waker.fileno()) == -1
    waker.wake()
    waker.close()


def test_the_tracing_has_the_first_turn_and_a_failure_keeps_nobody_from_his(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda trouble: called.append(str(trouble.exc_value)))

    class Owner:
        def __init__(self, name: str, turn: Turn) -> None:
            self.name = name
            forking.register(self, turn)

        def forget_in_child(self) -> None:
            called.append(self.name)
            if self.name == "broken":
                raise ValueError("a sentence")

    owners = [Owner("broken", Turn.REST), Owner("rest", Turn.REST), Owner("tracing", Turn.TRACING)]
    assert in_child(lambda: called) == ["tracing", "broken", "rest", "a sentence"]
    del owners
    gc.collect()
    assert in_child(lambda: called) == [], "it keeps nobody alive"


def test_nobody_else_asks_to_be_called_after_a_fork() -> None:
    hooks = {name for name, file in MODULES.items() if "register_at_fork(" in file.read_text()}
    assert hooks == {"forking"}
