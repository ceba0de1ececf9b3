"""debugpy's and pydevd's internals that Stagedoor relies on, all in one place, and what is done to one thread with them."""

from __future__ import annotations

import importlib
import os
import socket
import sys
import threading
from contextlib import suppress
from typing import Any

from stagedoor.dap.rules import Rule
from stagedoor.errors import DebuggerError

from .debugger import guarded_debugger_class
from .loading import load_debugpy, load_pydevd
from .releases import KNOWN, REMEDY, is_to_be_proved
from .shapes import misfit

#: pydevd's ``pydev_step_cmd`` of a thread that is to run on.
_NO_STEP = -1


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
            self.commands: Any = importlib.import_module("_pydevd_bundle.pydevd_api").PyDevdAPI
            self.schema: Any = importlib.import_module("_pydevd_bundle._debug_adapter.pydevd_schema")
            base_schema = importlib.import_module("_pydevd_bundle._debug_adapter.pydevd_base_schema").BaseSchema
            self.net_command: Any = importlib.import_module("_pydevd_bundle.pydevd_net_command").NetCommand
            factory = importlib.import_module("_pydevd_bundle.pydevd_net_command_factory_json")
            self.json_events: Any = factory.NetCommandFactoryJson
            self.io: Any = importlib.import_module("_pydevd_bundle.pydevd_io")
            self._bundle_comm: Any = importlib.import_module("_pydevd_bundle.pydevd_comm")
            breakpoints = importlib.import_module("_pydevd_bundle.pydevd_breakpoints")
            utils = importlib.import_module("_pydevd_bundle.pydevd_utils")
            processor = importlib.import_module("_pydevd_bundle.pydevd_process_net_command_json")
            tracing = importlib.import_module("pydevd_tracing")
            if self.uses_monitoring:
                facade = importlib.import_module("_pydevd_sys_monitoring.pydevd_sys_monitoring")
                self.monitoring_module: Any = sys.modules[facade.start_monitoring.__module__]
            wrong = misfit(self.uses_monitoring)
        except (ImportError, AttributeError, KeyError) as missing:
            wrong = str(missing)
        if wrong is not None:
            raise DebuggerError(f"debugpy {version} is not built as Stagedoor knows it ({wrong}).", _refit(version))
        self._constants: Any = constants
        self.filter_all_warnings: Any = constants.filter_all_warnings
        self._line_breakpoint = breakpoints.LineBreakpoint
        self._log_expression = utils.convert_dap_log_message_to_expression
        self._hit_expression = processor.PyDevJsonCommandProcessor._get_hit_condition_expression
        self._suspended = commands.CMD_THREAD_SUSPEND
        #: What a number of a client's stands for: a thread's id, a frame's, a variable's.
        self.id_from_dap = base_schema._translate_id_from_dap
        self._set_global_debugger = constants.set_global_debugger
        self.get_thread_id = constants.get_thread_id
        self._forget_locks_in_child = constants.after_fork
        self.threads_kept: dict[int, threading.Thread] = constants._thread_id_to_thread_found
        self._state_run, self._python_suspend = constants.STATE_RUN, constants.PYTHON_SUSPEND
        self._step_into, self.cmd_return = commands.CMD_STEP_INTO_MY_CODE, commands.CMD_RETURN
        self._steps_in = (commands.CMD_STEP_INTO_MY_CODE, commands.CMD_STEP_INTO)
        self.set_additional_thread_info = thread_info.set_additional_thread_info
        self._remove_additional_info = thread_info.remove_additional_info
        self._internal_run_thread = lifecycle.internal_run_thread
        self.set_trace = tracing.SetTrace
        self.set_trace_to_threads = tracing.set_trace_to_threads
        self.restore_settrace = tracing.restore_sys_set_trace_func
        if self.api.log.log_dir is None:
            # On its first use debugpy describes the whole environment to its log: 0.1 s and 2.5 MiB, for nobody.
            self.api.ensure_logging.ensured = True
        self.debugger_class = guarded_debugger_class(self.pydevd.PyDB)
        #: What is in another's place for a moment, while a debugger is started or stopped.
        self._own = {name: getattr(self.pydevd, name) for name in ("PyDB", "settrace", "start_client", "time")}

    def breakpoint_of(self, id_: int, rule: Rule) -> Any:
        """pydevd's own breakpoint for what a rule asks, which counts and judges as one of its would. It is set nowhere."""
        log = self._log_expression(rule.log_message) if rule.log_message else None
        hits = self._hit_expression(None, rule.hit_condition)
        return self._line_breakpoint(
            id_, 0, rule.condition, "None", log, "NONE", hit_condition=hits, is_logpoint=log is not None
        )

    def set_filter_all_warnings(self, manager: Any) -> None:
        """Put another context manager in the place of the one within which pydevd evaluates."""
        self._constants.filter_all_warnings = self._bundle_comm.filter_all_warnings = manager

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

    def is_stepping(self, thread: threading.Thread) -> bool:
        """Whether ``thread`` is to stop where a step of it ends."""
        return bool(self.set_additional_thread_info(thread).pydev_step_cmd != _NO_STEP)

    def step_into_my_code(self, thread: threading.Thread) -> None:
        """Stop ``thread`` at the next line of the user's code, as a step into it would."""
        self._stop_at_next_line(thread, self._step_into, self._step_into)

    def pause(self, debugger: Any, thread: threading.Thread) -> None:
        """Stop ``thread`` at its next line, and call it a pause.

        By a step. pydevd would mark it as suspended, and does not count that as stepping (1.8.22): from 3.12 on, another
        thread that comes to the line first switches its events off.
        """
        self._stop_at_next_line(thread, self._steps_in[1], self._suspended)
        # After that: what it calls from now on is noticed by itself.
        if (frame := sys._current_frames().get(thread.ident or 0)) is not None:
            debugger.set_trace_for_frame_and_parents(thread.ident, frame)
        if self.uses_monitoring:
            self.monitoring_module.restart_events()

    def _stop_at_next_line(self, thread: threading.Thread, step: int, reason: int) -> None:
        info = self.set_additional_thread_info(thread)
        info.pydev_original_step_cmd = reason
        info.pydev_step_cmd = step
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
        debugger.get_internal_queue_and_event(self.get_thread_id(thread))[1].set()

    def do_what_waits(self, debugger: Any, thread: threading.Thread) -> None:
        """Do what was asked of ``thread`` and waits for its next pause: what was for a request that it has left is refused
        there (:mod:`.addressed`).
        """
        queue = debugger.get_internal_queue_and_event(self.get_thread_id(thread))[0]
        with suppress(Exception):
            while True:
                queue.get(False).do_it(debugger)

    def forget_debugger(self, debugger: Any) -> None:
        """``debugger`` is pydevd's current one no more, if it is that."""
        if self.pydevd.get_global_debugger() is debugger:
            self._set_global_debugger(None)

    def forget_in_child(self) -> None:
        """After a fork: the sockets are the parent's, so they are closed here and not shut down. pydevd's locks may be
        held by a thread that the child does not have; it resets them itself only where it has patched ``os.fork``. Nor is
        there a thread that puts pydevd's own parts back, where they were another's when it forked.
        """
        self._forget_locks_in_child()
        for name, own in self._own.items():
            setattr(self.pydevd, name, own)
        self.restore_settrace()
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
