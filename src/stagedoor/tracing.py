"""Which threads are traced, and a real stop: the only importer of pydevd's internals.

pydevd is made to debug whole processes: it traces every thread, and a stop concerns all of them. Here the default is
deny: a thread is traced between :meth:`Tracing.enter` and :meth:`Tracing.leave` and at no other time, a stop pauses
its own thread only, and :meth:`Tracing.stop` leaves a process in which nothing of the debugger runs.

Everything that is used of debugpy and pydevd beyond ``debugpy``'s public API was verified with debugpy 1.8.22 on
CPython 3.11, 3.12 and 3.13. ``tests/test_debugpy_facts.py`` fails when a release changes one of these facts.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from .errors import DebuggerError
from .monitoring import SwitchedMonitoring

_Result = TypeVar("_Result")

#: The folder of this package, which the developer never steps into.
_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__))


@dataclass(frozen=True, slots=True)
class Pause:
    """A matching request that is paused.

    :param request: the request's label, such as ``"GET /checkout"``.
    :param thread: the paused thread's identifier (:func:`threading.get_ident`).
    :param since: when it was paused, on the monotonic clock, in seconds.
    :param file: the file of the line at which it is paused.
    :param line: the line's number, from 1.
    """

    request: str
    thread: int
    since: float
    file: str
    line: int


class TracingListener(Protocol):
    """Who is told what happens. Called on pydevd's and on request threads: must not block and must not raise."""

    def attached(self) -> None:
        """A client has configured its session."""

    def detached(self) -> None:
        """The client is gone."""

    def paused(self, pause: Pause) -> None:
        """A matching request is paused, on its own thread."""

    def resumed(self, pause: Pause, seconds: float) -> None:
        """A paused request runs on, after ``seconds``."""


@dataclass(slots=True)
class _Matching:
    """A thread that serves a matching request."""

    request: str
    thread: threading.Thread
    previous_trace: Any = None
    pause: Pause | None = field(default=None)


class Tracing:
    """The debugger of this process for one window. A process has at most one at a time, as pydevd has.

    :param listener: who is told of clients and pauses.
    """

    def __init__(self, listener: TracingListener) -> None:
        self._listener = listener
        self._matching: dict[int, _Matching] = {}
        self._debugger: Any = None
        self._stopped = False
        self._internals: Any = None
        self._breakpointhook: Any = None
        self._threads: _MonitoredThreads | _SettraceThreads

    def start(self, connect: Callable[[], _Result]) -> _Result:
        """Start pydevd by calling ``connect`` (such as :func:`debugpy.listen`), with no thread traced.

        :param connect: must end in ``pydevd.settrace``; runs on the calling thread.
        :returns: what ``connect`` returned.
        :raises DebuggerError: if something else debugs this process already, or this release of debugpy is not
            known to be safe. Errors of ``connect`` come through as they are.
        """
        global _current
        with _start_lock:
            if _current is not None:
                raise DebuggerError(
                    "This process already has a debugger of Stagedoor's.", "Wrap the outermost application only."
                )
            breakpointhook = sys.breakpointhook
            internals = self._internals = _Internals()
            if internals.pydevd.get_global_debugger() is not None:
                raise DebuggerError(
                    "Something else has started debugpy in this process.",
                    "Remove debugpy.listen() and debugpy.connect() from the application: Stagedoor starts it itself.",
                )
            self._threads = _MonitoredThreads(internals) if internals.uses_monitoring else _SettraceThreads(internals)
            self._breakpointhook = breakpointhook
            _current = self
            try:
                internals.forbid_terminate()
                with internals.guarded_start(self):
                    result = connect()
                self._debugger = internals.pydevd.get_global_debugger()
                self._threads.started(self._debugger)
            except BaseException:
                self.stop()
                raise
            self._install_breakpointhook()
            return result

    @property
    def attached(self) -> bool:
        """Whether a client is attached and has configured its session."""
        debugger = self._debugger
        return debugger is not None and not self._stopped and bool(debugger.is_attached())

    @property
    def access_token(self) -> str | None:
        """The token that debugpy gave its adapter, on whose command line it stands."""
        setup = self._internals.pydevd.SetupHolder.setup if self._internals else None
        return setup.get("access-token") if setup else None

    def enter(self, request: str, *, stop_at_entry: bool = False) -> bool:
        """The calling thread serves a matching request from now on: trace it, if a client is attached.

        :param request: the request's label, such as ``"GET /checkout"``.
        :param stop_at_entry: stop at the first line that the client counts as the user's code.
        :returns: whether the thread is traced; if so, :meth:`leave` must follow.
        """
        ident = threading.get_ident()
        if not self.attached or ident in self._matching:
            return False
        thread = threading.current_thread()
        matching = self._matching[ident] = _Matching(request, thread)
        info = self._internals.set_additional_thread_info(thread)
        # A pooled thread may still carry the step with which an earlier request left the application.
        self._internals.run_thread(thread)
        if stop_at_entry:
            self._internals.step_into_my_code(info)
        self._threads.trace(self._debugger, matching)
        return True

    def leave(self, ident: int | None = None) -> None:
        """The matching request is over: the thread is not traced any more. Does nothing on a thread that is not.

        :param ident: the thread on which :meth:`enter` was called, where that is not the calling one.
        """
        matching = self._matching.pop(threading.get_ident() if ident is None else ident, None)
        if matching is not None:
            self._threads.untrace(matching, own=matching.thread is threading.current_thread())

    def serves(self, ident: int | None) -> bool:
        """Whether the thread ``ident`` serves a matching request now."""
        return ident in self._matching

    @property
    def pauses(self) -> list[Pause]:
        """The requests that are paused now."""
        return [matching.pause for matching in list(self._matching.values()) if matching.pause is not None]

    def resume(self, pause: Pause) -> None:
        """Let a paused request run on."""
        matching = self._matching.get(pause.thread)
        if matching is not None and matching.pause is pause:
            self._internals.run_thread(matching.thread)
            self._internals.wake(self._debugger, matching.thread)

    def stop(self) -> None:
        """Cut off the client, resume what is paused, and take everything back. Blocks for up to 0.6 s.

        Never call it on a thread that serves a request: pydevd waits for its own threads.
        """
        global _current
        if self._stopped:
            return
        self._stopped = True
        try:
            self._threads.ended()
            if self._debugger is not None or self._internals.pydevd.get_global_debugger() is not None:
                paused = [matching.thread for matching in list(self._matching.values()) if matching.pause is not None]
                self._internals.stop(self._debugger or self._internals.pydevd.get_global_debugger(), paused)
        finally:
            self._restore()

    # Called by the guarded debugger

    def wait_suspended(self, thread: threading.Thread, frame: Any, wait: Callable[[], None]) -> None:
        """Pause the calling thread through ``wait``, if it serves a matching request; else let it run on."""
        ident = threading.get_ident()
        matching = self._matching.get(ident)
        if matching is None or self._stopped:
            # Nobody else ever waits. It comes here by a breakpoint() in the application's code, for example.
            self._internals.run_thread(thread)
            self._threads.deny()
            return None
        if matching.pause is not None:
            # Still the same pause: pydevd waits again after "jump to cursor".
            return wait()
        pause = Pause(matching.request, ident, time.monotonic(), frame.f_code.co_filename, frame.f_lineno)
        matching.pause = pause
        self._threads.pause()
        self._listener.paused(pause)
        try:
            wait()
        finally:
            matching.pause = None
            self._threads.resume()
            if self._stopped:
                self._threads.deny()
            self._listener.resumed(pause, time.monotonic() - pause.since)

    def client_configured(self) -> None:
        self._listener.attached()

    def client_gone(self) -> None:
        self._listener.detached()

    def _install_breakpointhook(self) -> None:
        # pydevd puts its own hook in place on import, for every thread.
        debug, otherwise = self._internals.breakpointhook, self._breakpointhook

        def breakpointhook(*args: Any, **kwargs: Any) -> Any:
            hook = debug if self.serves(threading.get_ident()) and self.attached else otherwise
            return hook(*args, **kwargs)

        sys.breakpointhook = breakpointhook

    def forget_in_child(self) -> None:
        """In a forked child: nothing is traced, and no socket of the debugger's stays open here."""
        self._stopped = True
        self._matching.clear()
        self._threads.ended_in_child()
        self._internals.forget_in_child()
        self._restore()

    def _restore(self) -> None:
        global _current
        self._threads.restore()
        self._internals.restore()
        sys.breakpointhook = self._breakpointhook
        self._debugger = None
        _current = None


_current: Tracing | None = None
_start_lock = threading.Lock()


class _SettraceThreads:
    """Threads under ``sys.settrace`` (below Python 3.12): a trace function belongs to its thread by itself."""

    def __init__(self, internals: _Internals) -> None:
        self._set_trace = internals.set_trace

    def started(self, debugger: Any) -> None:
        # settrace(trace_only_current_thread=True) has traced the thread that started the debugger.
        self._set_trace(None)

    def trace(self, debugger: Any, matching: _Matching) -> None:
        matching.previous_trace = sys.gettrace()
        debugger.enable_tracing()

    def untrace(self, matching: _Matching, *, own: bool) -> None:
        # Only the thread itself can take its trace function back; from another one, wait_suspended() still denies.
        if own:
            self._set_trace(None)
            if matching.previous_trace is not None:
                sys.settrace(matching.previous_trace)

    def deny(self) -> None:
        self._set_trace(None)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def ended(self) -> None:
        pass

    def ended_in_child(self) -> None:
        self._set_trace(None)

    def restore(self) -> None:
        pass


class _MonitoredThreads:
    """Threads under ``sys.monitoring`` (from Python 3.12): events concern every thread, a flag tells them apart.

    pydevd keeps that flag in a ``threading.local`` and creates it as *traced* on a thread's first event. The one put
    in its place creates it as not traced.
    """

    def __init__(self, internals: _Internals) -> None:
        self._module = module = internals.monitoring_module
        self._real_monitoring = module.monitor
        tool_id = self._real_monitoring.DEBUGGER_ID
        holder = self._real_monitoring.get_tool(tool_id)
        if holder is not None:
            raise DebuggerError(
                f"{holder!r} holds the debugger's place in sys.monitoring (DEBUGGER_ID) in this process.",
                "Start the application without it.",
            )
        self._monitoring = SwitchedMonitoring(tool_id)
        self._set_additional_thread_info = internals.set_additional_thread_info
        module.monitor = self._monitoring
        module._thread_local_info = self._local = _denied_by_default(module.ThreadInfo)()

    def started(self, debugger: Any) -> None:
        self._local.deny()
        # With trace_only_current_thread=True pydevd does not register its tool by itself.
        self._module.start_monitoring(all_threads=True)

    def trace(self, debugger: Any, matching: _Matching) -> None:
        thread = matching.thread
        self._local.thread_info = self._module.ThreadInfo(
            thread, threading.get_ident(), True, self._set_additional_thread_info(thread)
        )
        self._monitoring.enter()

    def untrace(self, matching: _Matching, *, own: bool) -> None:
        self._monitoring.leave()
        if own:
            self._local.deny()

    def deny(self) -> None:
        self._local.deny()

    def pause(self) -> None:
        self._monitoring.pause()

    def resume(self) -> None:
        self._monitoring.resume()

    def ended(self) -> None:
        self._monitoring.end()

    def ended_in_child(self) -> None:
        # The lock may have been held by a thread that the child does not have.
        self._monitoring._lock = threading.RLock()
        self._monitoring.end()
        self._module.stop_monitoring(all_threads=True)

    def restore(self) -> None:
        self._module.monitor = self._real_monitoring
        self._module._thread_local_info = threading.local()
        # What it knows of code objects would be believed by the next window's debugger, and keeps them alive.
        self._module._code_to_func_code_info_cache.clear()


class _NoThread:
    """Stands for a thread that is over, which pydevd's callbacks leave alone whatever the flag says."""

    _is_stopped = True


def _denied_by_default(thread_info: Callable[..., Any]) -> type[Any]:
    class DeniedByDefault(threading.local):
        def __init__(self) -> None:
            self.deny()

        def deny(self) -> None:
            self.thread_info = thread_info(_NoThread(), threading.get_ident(), False, None)

    return DeniedByDefault


class _Internals:
    """Every name of debugpy's and pydevd's internals that Stagedoor relies on, looked up in one place.

    :raises DebuggerError: if this release of debugpy lacks one of them.
    """

    def __init__(self) -> None:
        # Else pydevd writes a warning about frozen modules to the server's stderr (debugpy issue 1251).
        os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
        import debugpy

        version = getattr(debugpy, "__version__", "unknown")
        try:
            # Puts pydevd on sys.path; `import pydevd` works only after it.
            self.api: Any = importlib.import_module("debugpy.server.api")
            self.pydevd: Any = importlib.import_module("pydevd")
            self.breakpointhook = sys.breakpointhook if _is_pydevds(sys.breakpointhook) else self.pydevd.settrace
            constants = importlib.import_module("_pydevd_bundle.pydevd_constants")
            self.uses_monitoring: bool = constants.PYDEVD_USE_SYS_MONITORING
            self._set_global_debugger = constants.set_global_debugger
            self._get_thread_id = constants.get_thread_id
            self._state_run, self._python_suspend = constants.STATE_RUN, constants.PYTHON_SUSPEND
            self._step_into = importlib.import_module("_pydevd_bundle.pydevd_comm_constants").CMD_STEP_INTO_MY_CODE
            self.set_additional_thread_info = importlib.import_module(
                "_pydevd_bundle.pydevd_additional_thread_info"
            ).set_additional_thread_info
            self._internal_run_thread = importlib.import_module(
                "_pydevd_bundle.pydevd_thread_lifecycle"
            ).internal_run_thread
            self._commands: Any = importlib.import_module("_pydevd_bundle.pydevd_api").PyDevdAPI
            self._terminate = self._commands.request_terminate_process
            self.set_trace = importlib.import_module("pydevd_tracing").SetTrace
            self._called: bool = self.api.listen.called
            self._debugger_class = _guarded_debugger(self.pydevd.PyDB)
            if self.uses_monitoring:
                facade = importlib.import_module("_pydevd_sys_monitoring.pydevd_sys_monitoring")
                self.monitoring_module: Any = sys.modules[facade.start_monitoring.__module__]
                self._monitoring_names = (
                    self.monitoring_module.monitor,
                    self.monitoring_module._thread_local_info,
                    self.monitoring_module.ThreadInfo,
                    self.monitoring_module._code_to_func_code_info_cache,
                )
        except (ImportError, AttributeError, KeyError) as missing:
            raise DebuggerError(
                f"debugpy {version} is not built as Stagedoor knows it ({missing}), so nothing is debugged.",
                "Install debugpy 1.8.22.",
            ) from missing
        _install_fork_hook()

    def forbid_terminate(self) -> None:
        """A client's ``terminate`` would end in ``os._exit(0)``: make it what ``disconnect`` is."""
        self._commands.request_terminate_process = _disconnect_instead

    def restore(self) -> None:
        self._commands.request_terminate_process = self._terminate

    def guarded_start(self, tracing: Tracing) -> _GuardedStart:
        return _GuardedStart(self, tracing)

    def run_thread(self, thread: threading.Thread) -> None:
        """Forget a pause or a step of ``thread``'s."""
        self._internal_run_thread(thread, self.set_additional_thread_info)

    def step_into_my_code(self, info: Any) -> None:
        """Stop at the next line of the user's code, as a step into it would."""
        info.pydev_original_step_cmd = self._step_into
        info.pydev_step_cmd = self._step_into
        info.pydev_step_stop = None
        info.pydev_state = self._state_run
        info.suspend_type = self._python_suspend
        info.update_stepping_info()
        if self.uses_monitoring:
            self.monitoring_module.update_monitor_events(suspend_requested=True)

    def wake(self, debugger: Any, thread: threading.Thread) -> None:
        """Let a waiting thread look at its state at once, not at pydevd's next turn (0.2 s)."""
        debugger.get_internal_queue_and_event(self._get_thread_id(thread))[1].set()

    def stop(self, debugger: Any, paused: list[threading.Thread]) -> None:
        """Stop for real; the order matters. Without the first step a paused thread hangs in the next window, without
        the second pydevd's reader waits for its peer, without the last two debugpy refuses to start again.
        """
        self._commands().request_disconnect(debugger, resume_threads=True)
        for thread in paused:
            self.wake(debugger, thread)
        reader = getattr(debugger, "reader", None)
        if reader is not None:
            with suppress(OSError):  # The peer was faster.
                reader.sock.shutdown(socket.SHUT_RDWR)
        self.pydevd.stoptrace()
        self.pydevd.SetupHolder.setup = None
        self.api.listen.called = False

    def forget_in_child(self) -> None:
        """After a fork: the sockets are the parent's, so they are closed here and not shut down."""
        debugger = self.pydevd.get_global_debugger()
        if debugger is not None:
            debugger.pydb_disposed = True
            for owner in (debugger.reader, debugger.writer):
                sock: Any = getattr(owner, "sock", None)
                descriptor = sock.detach() if hasattr(sock, "detach") else -1
                if descriptor >= 0:
                    os.close(descriptor)
            self._set_global_debugger(None)
        self.pydevd.SetupHolder.setup = None
        self.api.listen.called = False


class _GuardedStart:
    """For the length of debugpy's start: pydevd creates our debugger, and traces no thread but the current one."""

    def __init__(self, internals: _Internals, tracing: Tracing) -> None:
        self._internals = internals
        self._tracing = tracing

    def __enter__(self) -> None:
        internals = self._internals
        self._original = internals.pydevd.PyDB, internals.pydevd.settrace
        settrace = internals.pydevd.settrace

        def debugger() -> Any:
            return internals._debugger_class(self._tracing)

        def settrace_current_thread(*args: Any, **kwargs: Any) -> Any:
            kwargs["trace_only_current_thread"] = True
            kwargs["dont_trace_start_patterns"] = (*kwargs.get("dont_trace_start_patterns", ()), _OWN_FOLDER)
            return settrace(*args, **kwargs)

        internals.pydevd.PyDB, internals.pydevd.settrace = debugger, settrace_current_thread

    def __exit__(self, *exc: object) -> None:
        self._internals.pydevd.PyDB, self._internals.pydevd.settrace = self._original


_generation = 0


def _guarded_debugger(debugger_class: type[Any]) -> type[Any]:
    """pydevd's debugger, its two ways to a pause (``set_suspend``, ``do_wait_suspend``) closed to everybody else."""

    class GuardedDebugger(debugger_class):  # type: ignore[misc]
        def __init__(self, tracing: Tracing) -> None:
            global _generation
            self._stagedoor = weakref.ref(tracing)
            super().__init__()
            # pydevd keeps what it knows of code objects by this number; it must never repeat in a process.
            _generation += 1
            self.mtime = _generation * 1_000_000

        # True would make one stop everybody's; a client can ask for it (stopAllThreadsOnSuspend).
        multi_threads_single_notification = property(lambda self: False, lambda self, value: None)

        def set_suspend(
            self, thread: Any, stop_reason: int, suspend_other_threads: bool = False, *args: Any, **kwargs: Any
        ) -> None:
            tracing = self._stagedoor()
            if tracing is not None and tracing.serves(thread.ident):
                super().set_suspend(thread, stop_reason, False, *args, **kwargs)

        def do_wait_suspend(self, thread: Any, frame: Any, event: Any, arg: Any, exception_type: Any = None) -> None:
            tracing = self._stagedoor()
            if tracing is not None:
                wait = super().do_wait_suspend
                tracing.wait_suspended(thread, frame, lambda: wait(thread, frame, event, arg, exception_type))

        def enable_output_redirection(self, *args: Any) -> None:
            """Not done: it would send every request's output to the client, and replaces sys.stdout for all of them."""

        def on_configuration_done(self) -> None:
            super().on_configuration_done()
            if (tracing := self._stagedoor()) is not None:
                tracing.client_configured()

        def on_disconnect(self) -> None:
            super().on_disconnect()
            if (tracing := self._stagedoor()) is not None:
                tracing.client_gone()

    return GuardedDebugger


def _disconnect_instead(commands: Any, debugger: Any) -> None:
    commands.request_disconnect(debugger, resume_threads=True)


def _is_pydevds(hook: Any) -> bool:
    return getattr(hook, "__module__", None) == "pydevd"


_fork_hook_installed = False


def _install_fork_hook() -> None:
    global _fork_hook_installed
    if not _fork_hook_installed and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork_in_child)
        _fork_hook_installed = True


def _after_fork_in_child() -> None:
    global _start_lock
    _start_lock = threading.Lock()
    if _current is not None:
        _current.forget_in_child()
