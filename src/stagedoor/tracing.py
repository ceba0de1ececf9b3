"""Which threads are traced, and a real stop: the only importer of pydevd's internals.

pydevd is made to debug whole processes: it traces every thread, and a stop concerns all of them. Here the default is
deny: a thread is traced between :meth:`Tracing.enter` and :meth:`Tracing.leave` and at no other time, a stop pauses
its own thread only, and :meth:`Tracing.stop` leaves a process in which nothing of the debugger runs.

Everything that is used of debugpy and pydevd beyond ``debugpy``'s public API was verified with debugpy 1.8.22 on
CPython 3.11, 3.12 and 3.13. ``tests/test_debugpy_facts.py`` fails when a release changes one of these facts.
"""

from __future__ import annotations

import atexit
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
from functools import cache
from types import FrameType
from typing import Any, Protocol, TypeVar

from .errors import DebuggerError
from .monitoring import SwitchedMonitoring

_Result = TypeVar("_Result")

#: The folder of this package, which the developer never steps into.
_OWN_FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")


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

    def not_paused(self, request: str, limit: int) -> None:
        """A request ran on over a breakpoint, because ``limit`` others are paused already."""


@dataclass(slots=True)
class _Matching:
    """A thread that serves a matching request."""

    request: str
    thread: threading.Thread
    #: Whether it is none of the server's threads, but one with a job of the application's.
    is_job: bool = False
    previous_trace: Any = None
    pause: Pause | None = field(default=None)
    was_paused: bool = False
    #: The exceptions on which the request has stopped. The objects themselves: numbers of theirs could come again.
    shown: list[BaseException] = field(default_factory=list)


class Tracing:
    """The debugger of this process for one window. A process has at most one at a time, as pydevd has.

    :param listener: who is told of clients and pauses.
    """

    def __init__(self, listener: TracingListener) -> None:
        self._listener = listener
        # Held while a thread enters, so that no thread is traced that the stop has not seen.
        self._lock = threading.Lock()
        self._matching: dict[int, _Matching] = {}
        self._debugger: Any = None
        self._stopped = False
        self._internals: Any = None
        self._breakpointhook: Any = None
        #: How many requests may be paused at the same time; ``None``: as many as come.
        self.pause_limit: int | None = None
        self._threads: _MonitoredThreads | _SettraceThreads

    @staticmethod
    def prepare() -> None:
        """Import the debugger, so that :meth:`start` is quick. Never raises."""
        with suppress(Exception):
            # On its first use debugpy describes the whole environment to its log, which takes 0.1 s. Not on a request.
            _Internals().api.ensure_logging()

    def start_over(self, connection: socket.socket) -> None:
        """Start pydevd as the peer of a connected socket, over which it speaks DAP; no port is opened.

        :raises DebuggerError: as :meth:`start` does.
        """
        self.start(lambda: self._internals.speak_over(connection))

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
                internals.restrict_commands(self)
                with internals.guarded_start(self):
                    result = connect()
                self._debugger = internals.pydevd.get_global_debugger()
            except BaseException:
                self.stop()
                raise
            self._install_breakpointhook()
            return result

    @property
    def attached(self) -> bool:
        """Whether a client is attached and has configured its session."""
        debugger = self._debugger
        return debugger is not None and not self._stopped and bool(debugger.has_client())

    @property
    def alive(self) -> bool:
        """Whether the debugger still runs. It gives up when its connection ends, because the adapter was killed say."""
        debugger = self._debugger
        return debugger is not None and not self._stopped and not debugger.pydb_disposed

    @property
    def access_token(self) -> str | None:
        """The token that debugpy gave its adapter, on whose command line it stands."""
        setup = self._internals.pydevd.SetupHolder.setup if self._internals else None
        return setup.get("access-token") if setup else None

    def enter(
        self, request: str, *, stop_at_entry: bool = False, is_job: bool = False, running: FrameType | None = None
    ) -> bool:
        """The calling thread serves a matching request from now on: trace it, if a client is attached.

        :param request: the request's label, such as ``"GET /checkout"``.
        :param stop_at_entry: stop at the first line that the client counts as the user's code.
        :param is_job: it is a job of the application's, and its thread none of the server's: however many of those are
            paused, the server has its threads.
        :param running: a function of the user's that runs already, and has lines to stop at as well.
        :returns: whether the thread is traced; if so, :meth:`leave` must follow.
        """
        ident = threading.get_ident()
        with self._lock:
            if not self.attached or not self.alive or ident in self._matching:
                return False
            thread = threading.current_thread()
            matching = self._matching[ident] = _Matching(request, thread, is_job)
            try:
                # A client's "pause" may have come just as an earlier request left this pooled thread.
                self._internals.run_thread(thread)
                if stop_at_entry:
                    self._internals.step_into_my_code(thread)
                self._threads.trace(self._debugger, matching)
                if running is not None:
                    self._debugger.set_trace_for_frame_and_parents(ident, running)
            except BaseException:
                del self._matching[ident]
                raise
        return True

    def leave(self, ident: int | None = None) -> None:
        """The matching request is over: the thread is not traced any more. Does nothing on a thread that is not.

        :param ident: the thread on which :meth:`enter` was called, where that is not the calling one.
        """
        matching = self._matching.pop(threading.get_ident() if ident is None else ident, None)
        if matching is not None:
            self._threads.untrace(matching, own=matching.thread is threading.current_thread())
            # The step with which the request left the application would make pydevd look at every call of everybody's.
            self._internals.run_thread(matching.thread)
            if self._stopped:
                self._internals.forget_thread(matching.thread)
            if matching.was_paused and self.attached:
                # The client knows this thread by its request, and would show it as running for good.
                self._internals.report_thread_exited(self._debugger, matching.thread)

    def serves(self, ident: int | None) -> bool:
        """Whether the thread ``ident`` serves a matching request now."""
        return ident in self._matching

    def label(self) -> str | None:
        """What the calling thread serves, if that is a matching request."""
        matching = self._matching.get(threading.get_ident())
        return matching.request if matching is not None else None

    @property
    def is_full(self) -> bool:
        """Whether as many requests are paused as may be."""
        if self.pause_limit is None:
            return False
        paused = [each for each in list(self._matching.values()) if each.pause is not None and not each.is_job]
        return len(paused) >= self.pause_limit

    @property
    def requests(self) -> list[tuple[threading.Thread, str]]:
        """The threads that serve matching requests now, and those requests' labels."""
        return [(matching.thread, matching.request) for matching in list(self._matching.values())]

    @property
    def running(self) -> list[threading.Thread]:
        """The threads that serve a matching request which is not paused."""
        return [matching.thread for matching in list(self._matching.values()) if matching.pause is None]

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

    def stop_on_exception(self, error: BaseException) -> None:
        """See :func:`stop_on_exception`."""
        matching = self._matching.get(threading.get_ident())
        if matching is not None and self.attached and not any(error is shown for shown in matching.shown):
            self._internals.debugpy.trigger_exception_handler(error)

    def say(self, text: str) -> None:
        """Show the developer a line in the IDE's debug console."""
        debugger = self._debugger
        if debugger is not None and not self._stopped:
            debugger.writer.add_command(debugger.cmd_factory.make_console_message(f"{text}\n"))

    def stop(self) -> None:
        """Cut off the client, resume what is paused, and take everything back. Blocks for up to 0.6 s.

        Never call it on a thread that serves a request: pydevd waits for its own threads.
        """
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        try:
            debugger = self._debugger or self._internals.pydevd.get_global_debugger()
            matching = list(self._matching.values())
            self._threads.ended(matching)
            if debugger is not None:
                self._internals.stop(debugger, [each.thread for each in matching if each.pause is not None])
            in_progress = {each.thread for each in matching}
            for thread in threading.enumerate():
                if thread not in in_progress:
                    self._internals.forget_thread(thread)
        finally:
            self._restore()

    # Called by the guarded debugger

    def wait_suspended(
        self, thread: threading.Thread, frame: Any, wait: Callable[[], None], error: BaseException | None = None
    ) -> None:
        """Pause the calling thread through ``wait``, if it serves a matching request; else let it run on.

        :param error: the exception on which it stops.
        """
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
        if self.is_full and not matching.is_job:
            self._internals.run_thread(thread)
            self._listener.not_paused(matching.request, self.pause_limit or 0)
            return None
        pause = Pause(matching.request, ident, time.monotonic(), frame.f_code.co_filename, _line(frame, error))
        if error is not None:
            matching.shown.append(error)
        matching.pause = pause
        matching.was_paused = True
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

    def monitor(self) -> None:
        self._threads.started()

    def client_configured(self) -> None:
        self._listener.attached()

    def client_gone(self) -> None:
        self._listener.detached()

    def _install_breakpointhook(self) -> None:
        # debugpy puts its own hook in place on import, for every thread.
        debugpy, otherwise = self._internals.debugpy, self._breakpointhook

        def breakpointhook(*args: Any, **kwargs: Any) -> Any:
            if self.serves(threading.get_ident()) and self.attached:
                return debugpy.breakpoint()
            return otherwise(*args, **kwargs)

        sys.breakpointhook = breakpointhook

    def forget_in_child(self) -> None:
        """In a forked child: nothing is traced, and no socket of the debugger's stays open here."""
        self._lock = threading.Lock()
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


def current_tracing() -> Tracing | None:
    """The debugger that runs in this process, if one does."""
    return _current


def stop_on_exception(error: BaseException) -> None:
    """Stop where ``error`` was raised, if the calling thread serves a matching request and the client stops on uncaught
    exceptions: its own filters decide. For an exception that nobody will see otherwise, because a framework makes a
    response of it. The same exception stops a request once. Never raises, and does nothing everywhere else.
    """
    tracing = _current
    if tracing is not None:
        with suppress(Exception):
            tracing.stop_on_exception(error)


def _line(frame: Any, error: BaseException | None) -> int:
    """The line at which ``frame`` is, or has failed: one that is over stands where its last clean-up did."""
    entry = error.__traceback__ if error is not None else None
    while entry is not None:
        if entry.tb_frame is frame:
            return entry.tb_lineno
        entry = entry.tb_next
    return int(frame.f_lineno)


class _SettraceThreads:
    """Threads under ``sys.settrace`` (below Python 3.12): a trace function belongs to its thread by itself."""

    def __init__(self, internals: _Internals) -> None:
        self._set_trace = internals.set_trace
        self._set_trace_to_threads = internals.set_trace_to_threads

    def started(self) -> None:
        pass

    def trace(self, debugger: Any, matching: _Matching) -> None:
        matching.previous_trace = sys.gettrace()
        debugger.enable_tracing()

    def untrace(self, matching: _Matching, *, own: bool) -> None:
        if not own:
            self._untrace_from_outside(matching)
            return
        self._set_trace(None)
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            # A step out of the application leaves a trace function in the server's frames, which would keep the
            # debugger alive for as long as the pooled thread.
            frame.f_trace = None
            frame = frame.f_back
        if matching.previous_trace is not None:
            sys.settrace(matching.previous_trace)

    def _untrace_from_outside(self, matching: _Matching) -> None:
        previous = matching.previous_trace

        def untrace_this_thread(frame: FrameType, event: str, argument: Any) -> None:
            sys.settrace(previous)

        # Only the thread itself can take its trace function back; it does so when it next calls a function.
        self._set_trace_to_threads(untrace_this_thread, [matching.thread.ident], create_dummy_thread=False)

    def deny(self) -> None:
        self._set_trace(None)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def ended(self, matching: list[_Matching]) -> None:
        # A paused thread does it itself when it runs on.
        for each in matching:
            if each.pause is None:
                self._untrace_from_outside(each)

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
        self._tool_id = tool_id = self._real_monitoring.DEBUGGER_ID
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

    def started(self) -> None:
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

    def ended(self, matching: list[_Matching]) -> None:
        self._monitoring.end()

    def ended_in_child(self) -> None:
        self._monitoring.forget_lock()
        self._monitoring.end()
        self._module.stop_monitoring(all_threads=True)

    def restore(self) -> None:
        self._module.monitor = self._real_monitoring
        # The one callback that pydevd does not take back by itself; the place may be another tool's next.
        self._real_monitoring.register_callback(self._tool_id, self._real_monitoring.events.PY_UNWIND, None)
        self._module._thread_local_info = threading.local()
        # What it knows of code objects would be believed by the next window's debugger, and keeps them alive.
        self._module._code_to_func_code_info_cache.clear()


class _NoThread:
    """Stands for a thread that is over, which pydevd's callbacks leave alone whatever the flag says."""

    _is_stopped = True


@cache
def _denied_by_default(thread_info: Callable[..., Any]) -> type[Any]:
    class DeniedByDefault(threading.local):
        def __init__(self) -> None:
            self.deny()

        def deny(self) -> None:
            self.thread_info = thread_info(_NoThread(), threading.get_ident(), False, None)

    return DeniedByDefault


#: The commands of :class:`PyDevdAPI` that :meth:`_Internals.restrict_commands` replaces.
_RESTRICTED = ("request_terminate_process", "list_threads", "request_resume_thread")


class _Internals:
    """Every name of debugpy's and pydevd's internals that Stagedoor relies on, looked up in one place.

    :raises DebuggerError: if this release of debugpy lacks one of them.
    """

    def __init__(self) -> None:
        import debugpy

        self.debugpy = debugpy
        version = getattr(debugpy, "__version__", "unknown")
        try:
            # Puts pydevd on sys.path; `import pydevd` works only after it.
            self.api: Any = _import_quietly("debugpy.server.api")
            self.pydevd: Any = importlib.import_module("pydevd")
            constants = importlib.import_module("_pydevd_bundle.pydevd_constants")
            self.uses_monitoring: bool = constants.PYDEVD_USE_SYS_MONITORING
            self._set_global_debugger = constants.set_global_debugger
            self._get_thread_id = constants.get_thread_id
            self._threads_kept: dict[int, threading.Thread] = constants._thread_id_to_thread_found
            self._enumerate = self.pydevd.threadingEnumerate
            self._state_run, self._python_suspend = constants.STATE_RUN, constants.PYTHON_SUSPEND
            commands = importlib.import_module("_pydevd_bundle.pydevd_comm_constants")
            self._step_into, self._cmd_return = commands.CMD_STEP_INTO_MY_CODE, commands.CMD_RETURN
            thread_info = importlib.import_module("_pydevd_bundle.pydevd_additional_thread_info")
            self.set_additional_thread_info = thread_info.set_additional_thread_info
            self._remove_additional_info = thread_info.remove_additional_info
            self._internal_run_thread = importlib.import_module(
                "_pydevd_bundle.pydevd_thread_lifecycle"
            ).internal_run_thread
            self._commands: Any = importlib.import_module("_pydevd_bundle.pydevd_api").PyDevdAPI
            self._original_commands = {name: getattr(self._commands, name) for name in _RESTRICTED}
            self._schema: Any = importlib.import_module("_pydevd_bundle._debug_adapter.pydevd_schema")
            self._net_command: Any = importlib.import_module("_pydevd_bundle.pydevd_net_command").NetCommand
            tracing = importlib.import_module("pydevd_tracing")
            self.set_trace = tracing.SetTrace
            self.set_trace_to_threads = tracing.set_trace_to_threads
            self._restore_settrace = tracing.restore_sys_set_trace_func
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

    def restrict_commands(self, tracing: Tracing) -> None:
        """Some of a client's commands concern the whole process. ``terminate`` would end in ``os._exit(0)``: make it
        what ``disconnect`` is. ``threads`` would list everybody's: answer with those of matching requests, by their
        labels. To continue all would do something to every thread of the process: there are only those to continue.
        """
        resume_one = self._original_commands["request_resume_thread"]

        def list_threads(commands: Any, debugger: Any, seq: int) -> Any:
            return self._threads_response(seq, tracing.requests)

        def resume(commands: Any, thread_id: str) -> None:
            if thread_id != "*":
                resume_one(commands, thread_id)
            else:
                for thread, _ in tracing.requests:
                    self.run_thread(thread)

        def enumerate_threads() -> list[threading.Thread]:
            return [threading.main_thread(), *(thread for thread, _ in tracing.requests)]

        self._commands.request_terminate_process = _disconnect_instead
        self._commands.list_threads = list_threads
        self._commands.request_resume_thread = resume
        # pydevd looks at every thread five times a second, and keeps all that it has ever seen.
        self.pydevd.threadingEnumerate = enumerate_threads

    def restore(self) -> None:
        for name, original in self._original_commands.items():
            setattr(self._commands, name, original)
        self.pydevd.threadingEnumerate = self._enumerate
        for key, thread in list(self._threads_kept.items()):
            if not thread.is_alive():
                self._threads_kept.pop(key, None)

    def _threads_response(self, seq: int, requests: list[tuple[threading.Thread, str]]) -> Any:
        schema = self._schema
        threads = [schema.Thread(id=self._get_thread_id(thread), name=label).to_dict() for thread, label in requests]
        body = schema.ThreadsResponseBody(threads)
        answer = schema.ThreadsResponse(request_seq=seq, success=True, command="threads", body=body)
        return self._net_command(self._cmd_return, 0, answer, is_json=True)

    def report_thread_exited(self, debugger: Any, thread: threading.Thread) -> None:
        """Tell the client that a thread is gone, which pydevd does only when it is."""
        debugger.writer.add_command(debugger.cmd_factory.make_thread_killed_message(self._get_thread_id(thread)))

    def guarded_start(self, tracing: Tracing) -> _GuardedStart:
        return _GuardedStart(self, tracing)

    def run_thread(self, thread: threading.Thread) -> None:
        """Forget a pause or a step of ``thread``'s."""
        self._internal_run_thread(thread, self.set_additional_thread_info)

    def forget_thread(self, thread: threading.Thread) -> None:
        """Forget what pydevd keeps on a thread: it would keep the debugger alive for as long as the thread."""
        info = vars(thread).pop("additional_info", None)
        if info is not None:
            self._remove_additional_info(info)

    def step_into_my_code(self, thread: threading.Thread) -> None:
        """Stop ``thread`` at the next line of the user's code, as a step into it would."""
        info = self.set_additional_thread_info(thread)
        info.pydev_original_step_cmd = self._step_into
        info.pydev_step_cmd = self._step_into
        info.pydev_step_stop = None
        info.pydev_state = self._state_run
        info.suspend_type = self._python_suspend
        info.update_stepping_info()
        if self.uses_monitoring:
            self.monitoring_module.update_monitor_events(suspend_requested=True)
            # Functions without a breakpoint that were called before do not report their calls any more.
            self.monitoring_module.restart_events()

    def speak_over(self, connection: socket.socket) -> None:
        """What debugpy.connect() does, but over ``connection``, and without waiting for a client."""
        original = self.pydevd.start_client
        self.pydevd.start_client = lambda host, port: connection
        try:
            self.pydevd.settrace(
                host="127.0.0.1",  # Never dialled.
                port=1,
                suspend=False,
                notify_stdin=False,
                patch_multiprocessing=False,
                wait_for_ready_to_run=False,
                block_until_connected=True,
                dont_trace_start_patterns=(os.path.dirname(os.path.abspath(self.debugpy.__file__)),),
            )
        finally:
            self.pydevd.start_client = original

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
        # The writer still has to say that the session is over.
        _shut_down(debugger.reader, socket.SHUT_RD)
        threading_trace = threading.gettrace()
        self.pydevd.stoptrace()
        if threading_trace is not None:
            threading.settrace(threading_trace)
        _shut_down(debugger.reader, socket.SHUT_RDWR)
        if self.pydevd.get_global_debugger() is debugger:
            self._set_global_debugger(None)
        atexit.unregister(self.pydevd.stoptrace)
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


def _import_quietly(name: str) -> Any:
    """Import pydevd without its warning about frozen modules, which goes to stderr (debugpy issue 1251), and without
    what it leaves in the environment for the application's children.
    """
    before = dict(os.environ)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    try:
        return importlib.import_module(name)
    finally:
        for variable in [each for each in os.environ if each.startswith("PYDEVD_")]:
            if variable in before:
                os.environ[variable] = before[variable]
            else:
                del os.environ[variable]


def _shut_down(owner: Any, how: int) -> None:
    sock = getattr(owner, "sock", None)
    if sock is not None:
        with suppress(OSError):  # The peer was faster.
            sock.shutdown(how)


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
        # pydevd replaces sys.settrace by a function that warns on stderr whoever uses it.
        self._internals._restore_settrace()


_generation = 0


class _SleeplessTime:
    """The module ``time``, but nobody sleeps."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        """Not done."""


@cache
def _guarded_debugger(debugger_class: type[Any]) -> type[Any]:
    """pydevd's debugger, its two ways to a pause (``set_suspend``, ``do_wait_suspend``) closed to everybody else."""

    class GuardedDebugger(debugger_class):  # type: ignore[misc]
        def __init__(self, tracing: Tracing) -> None:
            global _generation
            self._stagedoor = weakref.ref(tracing)
            super().__init__()
            # Else a pause on a main thread would patch matplotlib, where the application has imported it.
            self._installed_gui_support = True
            # pydevd keeps what it knows of code objects by this number; it must never repeat in a process.
            _generation += 1
            self.mtime = _generation * 10_000

        def initialize_network(self, *args: Any, **kwargs: Any) -> None:
            if (tracing := self._stagedoor()) is not None:
                # Before the client's first breakpoint can come: else this could take back the events that it asks for.
                tracing.monitor()
            # pydevd sleeps for 0.1 s, for its threads to have started. Thread.start() has waited for that.
            module: Any = sys.modules[debugger_class.__module__]
            module.time = _SleeplessTime()
            try:
                super().initialize_network(*args, **kwargs)
            finally:
                module.time = time

        def _serves(self, ident: int | None) -> bool:
            tracing = self._stagedoor()
            return tracing is not None and tracing.serves(ident)

        # True would make one stop, and one step, everybody's; a client can ask for both.
        multi_threads_single_notification = property(lambda self: False, lambda self, value: None)
        stepping_resumes_all_threads = property(lambda self: False, lambda self, value: None)

        def has_client(self) -> bool:
            return bool(super().is_attached())

        def is_attached(self) -> bool:
            """What debugpy.breakpoint() and its like ask first: for everybody else there is no debugger."""
            return self._serves(threading.get_ident()) and self.has_client()

        def enable_tracing(self, thread_trace_func: Any = None, apply_to_all_threads: bool = False) -> None:
            if self._serves(threading.get_ident()):
                super().enable_tracing(thread_trace_func)

        def patch_threads(self) -> None:
            """Not done: it would trace every thread that is started."""

        def set_trace_for_frame_and_parents(self, thread_ident: int | None, frame: Any, **keywords: Any) -> None:
            if self._serves(thread_ident):
                super().set_trace_for_frame_and_parents(thread_ident, frame, **keywords)

        def set_suspend(
            self, thread: Any, stop_reason: int, suspend_other_threads: bool = False, *args: Any, **kwargs: Any
        ) -> None:
            tracing = self._stagedoor()
            if tracing is None:
                return
            # A client's "pause" concerns all threads, and comes with any one of them.
            concerned = tracing.running if kwargs.get("is_pause") else [thread] if self._serves(thread.ident) else []
            for each in concerned:
                super().set_suspend(each, stop_reason, False, *args, **kwargs)

        def do_wait_suspend(self, thread: Any, frame: Any, event: Any, arg: Any, exception_type: Any = None) -> None:
            tracing = self._stagedoor()
            if tracing is not None:
                wait = super().do_wait_suspend
                error = arg[1] if event == "exception" and arg else None
                tracing.wait_suspended(thread, frame, lambda: wait(thread, frame, event, arg, exception_type), error)

        def notify_thread_created(self, *args: Any, **kwargs: Any) -> None:
            """Not done: threads that serve no matching request are nobody's business, the others show when they stop."""

        def enable_output_redirection(self, *args: Any) -> None:
            """Not done: it would send every request's output to the client, and replaces sys.stdout for all of them."""

        def setup_auto_reload_watcher(self, *args: Any) -> None:
            """Not done: it would load changed code for everybody."""

        def dispose_and_kill_all_pydevd_threads(self, wait: bool = True, timeout: float = 0.5) -> None:
            # When the connection ends, its reader and its writer come here and would wait for themselves to end.
            thread: Any = threading.current_thread()
            if thread is self.writer:
                # What it has not sent is not waited for: nobody can send it any more.
                thread.empty = lambda: True
            on_own_thread = getattr(thread, "is_pydev_daemon_thread", False)
            super().dispose_and_kill_all_pydevd_threads(wait and not on_own_thread, timeout)

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
