"""debugpy's and pydevd's internals that Stagedoor relies on, all in one place, and what is done with them."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from stagedoor.errors import DebuggerError

from .debugger import guarded_debugger_class
from .loading import load_debugpy, load_pydevd
from .releases import KNOWN, REMEDY, is_to_be_proved
from .shapes import misfit
from .state import Owner

#: The folder of the whole package, which the developer never steps into.
_OWN_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


#: The commands of :class:`PyDevdAPI` that :meth:`Internals.restrict_commands` replaces.
_RESTRICTED = ("request_terminate_process", "list_threads", "request_resume_thread")


def other_debugger_runs() -> bool:
    """Whether debugpy runs in this process. Loads nothing: where pydevd is not loaded it can't."""
    # While another thread imports it, it has no such function yet.
    global_debugger = getattr(sys.modules.get("pydevd"), "get_global_debugger", None)
    return global_debugger is not None and global_debugger() is not None


class Internals:
    """Every name of debugpy's and pydevd's internals that Stagedoor relies on, looked up in one place.

    :raises DebuggerError: if this release of debugpy is not trusted, can't be loaded, or is built otherwise.
    """

    def __init__(self) -> None:
        self.debugpy = load_debugpy()
        #: The debugger that was made at the start. pydevd forgets it when its connection ends.
        self.debugger: Any = None
        version = self.debugpy.__version__
        if is_to_be_proved(version):
            raise DebuggerError(f"debugpy {version} has not passed Stagedoor's self-test.", REMEDY)
        # Puts pydevd on sys.path; `import pydevd` works only after it.
        self.api: Any = load_pydevd(version, "debugpy.server.api")
        try:
            self.pydevd: Any = importlib.import_module("pydevd")
            constants = importlib.import_module("_pydevd_bundle.pydevd_constants")
            self.uses_monitoring: bool = constants.PYDEVD_USE_SYS_MONITORING
            commands = importlib.import_module("_pydevd_bundle.pydevd_comm_constants")
            thread_info = importlib.import_module("_pydevd_bundle.pydevd_additional_thread_info")
            lifecycle = importlib.import_module("_pydevd_bundle.pydevd_thread_lifecycle")
            self._commands: Any = importlib.import_module("_pydevd_bundle.pydevd_api").PyDevdAPI
            self._schema: Any = importlib.import_module("_pydevd_bundle._debug_adapter.pydevd_schema")
            self._net_command: Any = importlib.import_module("_pydevd_bundle.pydevd_net_command").NetCommand
            tracing = importlib.import_module("pydevd_tracing")
            if self.uses_monitoring:
                facade = importlib.import_module("_pydevd_sys_monitoring.pydevd_sys_monitoring")
                self.monitoring_module: Any = sys.modules[facade.start_monitoring.__module__]
            wrong = misfit(self.uses_monitoring)
        except (ImportError, AttributeError, KeyError) as missing:
            wrong = str(missing)
        if wrong is not None:
            raise DebuggerError(f"debugpy {version} is not built as Stagedoor knows it ({wrong}).", _refit(version))
        self._set_global_debugger = constants.set_global_debugger
        self._get_thread_id = constants.get_thread_id
        self._forget_locks_in_child = constants.after_fork
        self._threads_kept: dict[int, threading.Thread] = constants._thread_id_to_thread_found
        self._enumerate = self.pydevd.threadingEnumerate
        self._state_run, self._python_suspend = constants.STATE_RUN, constants.PYTHON_SUSPEND
        self._step_into, self._cmd_return = commands.CMD_STEP_INTO_MY_CODE, commands.CMD_RETURN
        self._steps_in = (commands.CMD_STEP_INTO_MY_CODE, commands.CMD_STEP_INTO)
        self.set_additional_thread_info = thread_info.set_additional_thread_info
        self._remove_additional_info = thread_info.remove_additional_info
        self._internal_run_thread = lifecycle.internal_run_thread
        self._original_commands = {name: getattr(self._commands, name) for name in _RESTRICTED}
        self.set_trace = tracing.SetTrace
        self.set_trace_to_threads = tracing.set_trace_to_threads
        self._restore_settrace = tracing.restore_sys_set_trace_func
        if self.api.log.log_dir is None:
            # On its first use debugpy describes the whole environment to its log: 0.1 s and 2.5 MiB, for nobody.
            self.api.ensure_logging.ensured = True
        self._debugger_class = guarded_debugger_class(self.pydevd.PyDB)

    def restrict_commands(self, tracing: Owner) -> None:
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
        """Take back :meth:`restrict_commands`. Without it a later debugger of somebody else's could not list or resume the
        process's threads.
        """
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

    def answer_every_request(self, reader: Any) -> None:
        """Let the thread that reads the client's requests outlive those that it can't serve.

        It dies of many arguments that make no sense to it, such as the number of no thread, and takes the session and
        every pause with it. The client gets an error instead.
        """
        process = reader.process_net_command_json

        def process_or_refuse(debugger: Any, text: bytes, *arguments: Any) -> None:
            try:
                process(debugger, text, *arguments)
            except Exception as error:
                request = json.loads(text)
                refusal = {
                    "type": "response",
                    "request_seq": request["seq"],
                    "success": False,
                    "command": request["command"],
                    "message": f"debugpy could not do it: {type(error).__name__}: {error}",
                }
                debugger.writer.add_command(self._net_command(self._cmd_return, 0, refusal, is_json=True))

        reader.process_net_command_json = process_or_refuse

    def report_thread_exited(self, debugger: Any, thread: threading.Thread) -> None:
        """Tell the client that a thread is gone, which pydevd does only when it is."""
        debugger.writer.add_command(debugger.cmd_factory.make_thread_killed_message(self._get_thread_id(thread)))

    def guarded_start(self, tracing: Owner) -> GuardedStart:
        return GuardedStart(self, tracing)

    def run_thread(self, thread: threading.Thread) -> None:
        """Forget a pause or a step of ``thread``'s."""
        self._internal_run_thread(thread, self.set_additional_thread_info)

    def forget_thread(self, thread: threading.Thread) -> None:
        """Forget what pydevd keeps on a thread: it would keep the debugger alive for as long as the thread."""
        info = vars(thread).pop("additional_info", None)
        if info is not None:
            self._remove_additional_info(info)

    def steps_in(self, thread: threading.Thread) -> bool:
        """Whether ``thread`` is to stop at the next line, whichever function that is in."""
        return self.set_additional_thread_info(thread).pydev_step_cmd in self._steps_in

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

    def steps_of_stop(
        self, debugger: Callable[[], Any], paused: Callable[[], list[threading.Thread]]
    ) -> list[Callable[[], object]]:
        """Stop for real; the order matters.

        1. pydevd's own disconnect. It takes the breakpoints back and resumes what is paused; without it a paused thread
           keeps its suspended state, and hangs in the next window.
        2. What is paused runs on at once and not at pydevd's next turn; this is also what resumes it where 1 fails.
        3. No request of the client's is read any more. Without it pydevd's reader waits for its peer. The writer still
           has to say that the session is over.
        4. pydevd's own stop, which waits for its threads. It takes the debugger's place in ``sys.monitoring`` back, and
           ``sys.settrace``.
        5. The connection ends, for a peer that keeps its end.
        6. pydevd's threads end, where 4 was interrupted or the debugger is not pydevd's current one any more: it gives up
           by itself when its connection ends, also during a start. Without it they and the descriptor stay for good.
        7. ``sys.settrace`` is Python's own; without it pydevd warns whoever uses it, on stderr.
        8. to 10. pydevd's current debugger, its hook at the process's end, its settings, debugpy's flag. Without these
           debugpy refuses to start again ("has already been called"), or the debugger stays in memory.

        :param debugger: gives pydevd's debugger, ``None`` if a start has not come as far as to make one.
        :param paused: gives the threads that are paused.
        """

        def disconnect() -> None:
            if debugger() is not None:
                self._commands().request_disconnect(debugger(), resume_threads=True)

        def resume() -> None:
            threads = paused()
            for thread in threads:
                self.run_thread(thread)
            for thread in threads:
                self.wake(debugger(), thread)

        def end_threads() -> None:
            if debugger() is not None:
                try:
                    debugger().dispose_and_kill_all_pydevd_threads(wait=False)
                finally:
                    for thread in list(debugger().created_pydb_daemon_threads):
                        thread.do_kill_pydev_thread()

        def forget_debugger() -> None:
            if self.pydevd.get_global_debugger() is debugger():
                self._set_global_debugger(None)

        return [
            disconnect,
            resume,
            lambda: _shut_down(debugger(), socket.SHUT_RD),
            self._stop_pydevd,
            lambda: _shut_down(debugger(), socket.SHUT_RDWR),
            end_threads,
            self._restore_settrace,
            forget_debugger,
            lambda: atexit.unregister(self.pydevd.stoptrace),
            lambda: setattr(self.pydevd.SetupHolder, "setup", None),
            lambda: setattr(self.api.listen, "called", False),
        ]

    def _stop_pydevd(self) -> None:
        threading_trace = threading.gettrace()
        try:
            self.pydevd.stoptrace()
        finally:
            if threading_trace is not None:
                # The application's own: pydevd's is never set.
                threading.settrace(threading_trace)

    def forget_in_child(self) -> None:
        """After a fork: the sockets are the parent's, so they are closed here and not shut down. pydevd's locks may be
        held by a thread that the child does not have; it resets them itself only where it has patched ``os.fork``.
        """
        self._forget_locks_in_child()
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


def _refit(version: str) -> str:
    return "Its files are not those of that release: install it afresh." if version in KNOWN else REMEDY


def _shut_down(debugger: Any, how: int) -> None:
    sock = getattr(getattr(debugger, "reader", None), "sock", None)
    if sock is not None:
        with suppress(OSError):  # The peer was faster.
            sock.shutdown(how)


class GuardedStart:
    """For the length of debugpy's start: pydevd creates our debugger, and traces no thread but the current one."""

    def __init__(self, internals: Internals, tracing: Owner) -> None:
        self._internals = internals
        self._tracing = tracing

    def __enter__(self) -> None:
        internals = self._internals
        self._original = internals.pydevd.PyDB, internals.pydevd.settrace
        settrace = internals.pydevd.settrace

        def debugger() -> Any:
            internals.debugger = internals._debugger_class(self._tracing)
            return internals.debugger

        def settrace_current_thread(*args: Any, **kwargs: Any) -> Any:
            kwargs["trace_only_current_thread"] = True
            kwargs["dont_trace_start_patterns"] = (*kwargs.get("dont_trace_start_patterns", ()), _OWN_FOLDER)
            return settrace(*args, **kwargs)

        internals.pydevd.PyDB, internals.pydevd.settrace = debugger, settrace_current_thread

    def __exit__(self, *exc: object) -> None:
        self._internals.pydevd.PyDB, self._internals.pydevd.settrace = self._original
        # pydevd replaces sys.settrace by a function that warns on stderr whoever uses it.
        self._internals._restore_settrace()


def _disconnect_instead(commands: Any, debugger: Any) -> None:
    commands.request_disconnect(debugger, resume_threads=True)
