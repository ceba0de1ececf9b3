"""The names of debugpy's and pydevd's internals that are used, with the parameters that they have in the known releases.

Looked up before anything starts: a name that is missing, or takes something else, would show in the middle of a
request, or (a method that is overridden and not called any more) never.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from .debugger import OVERRIDDEN, OWN_NAMES, OWN_PROPERTIES

#: By module: names, each with its parameters; ``*`` where they are not looked at, because it is no function.
SHAPES: dict[str, dict[str, str]] = {
    "debugpy": {
        "trigger_exception_handler": "__excinfo as_uncaught",
        "breakpoint": "",
        "configure": "__properties kwargs",
        "listen": "__endpoint in_process_debug_adapter",
    },
    "debugpy.server.api": {"listen.called": "*", "ensure_logging.ensured": "*", "log.log_dir": "*"},
    "pydevd": {
        "settrace": "host stdout_to_server stderr_to_server port suspend trace_only_current_thread overwrite_prev_trace"
        " patch_multiprocessing stop_at_frame block_until_connected wait_for_ready_to_run dont_trace_start_patterns"
        " dont_trace_end_patterns access_token client_access_token notify_stdin protocol ppid kwargs",
        "start_client": "host port",
        "stoptrace": "",
        "get_global_debugger": "",
        "threadingEnumerate": "",
        "SetupHolder.setup": "*",
        "time.sleep": "*",
        "PyDB.post_internal_command": "self int_cmd thread_id",
        "PyDB.get_internal_queue_and_event": "self thread_id",
        "PyDB.trigger_exception_handler": "self excinfo as_uncaught",
        "PyDB.connect": "self host port",
        **{f"PyDB.{name}": parameters for name, parameters in OVERRIDDEN.items()},
    },
    "_pydevd_bundle.pydevd_constants": {
        "PYDEVD_USE_SYS_MONITORING": "*",
        "STATE_RUN": "*",
        "PYTHON_SUSPEND": "*",
        "_thread_id_to_thread_found": "*",
        "after_fork": "",
        "set_global_debugger": "dbg",
        "get_thread_id": "thread",
        "filter_all_warnings": "",
    },
    "_pydevd_bundle.pydevd_comm_constants": {
        "CMD_STEP_INTO_MY_CODE": "*",
        "CMD_STEP_INTO": "*",
        "CMD_RETURN": "*",
        "CMD_THREAD_SUSPEND": "*",
    },
    "_pydevd_bundle.pydevd_io": {"redirect_stream_to_pydb_io_messages_context": ""},
    "_pydevd_bundle.pydevd_utils": {"convert_dap_log_message_to_expression": "log_message"},
    "_pydevd_bundle.pydevd_breakpoints": {
        "LineBreakpoint.__init__": "self breakpoint_id line condition func_name expression suspend_policy hit_condition"
        " is_logpoint",
    },
    "_pydevd_bundle.pydevd_plugin_utils": {
        "PluginManager.exception_break": "self py_db frame thread arg is_unwind",
        "PluginManager.remove_all_exception_breakpoints": "self py_db",
        "PluginManager.has_line_breaks": "self py_db",
    },
    "_pydevd_bundle.pydevd_additional_thread_info": {
        "set_additional_thread_info": "thread",
        "remove_additional_info": "info",
    },
    "_pydevd_bundle.pydevd_thread_lifecycle": {"internal_run_thread": "thread set_additional_thread_info"},
    "_pydevd_bundle.pydevd_api": {
        "PyDevdAPI.request_disconnect": "self py_db resume_threads",
        "PyDevdAPI.request_terminate_process": "self py_db",
        "PyDevdAPI.request_resume_thread": "self thread_id",
        "PyDevdAPI.list_threads": "self py_db seq",
        "PyDevdAPI.remove_all_breakpoints": "self py_db received_filename",
        "PyDevdAPI.remove_all_exception_breakpoints": "self py_db",
    },
    "_pydevd_bundle.pydevd_process_net_command_json": {
        "PyDevJsonCommandProcessor.process_net_command_json": "self py_db json_contents send_response",
        "PyDevJsonCommandProcessor._get_hit_condition_expression": "self hit_condition",
        "PyDevJsonCommandProcessor.on_setbreakpoints_request": "self py_db request",
        "PyDevJsonCommandProcessor.on_setfunctionbreakpoints_request": "self py_db request",
        "PyDevJsonCommandProcessor.on_setexceptionbreakpoints_request": "self py_db request",
    },
    "_pydevd_bundle.pydevd_suspended_frames": {
        "SuspendedFramesManager.get_thread_id_for_variable_reference": "self variable_reference",
    },
    "_pydevd_bundle.pydevd_comm": {
        "InternalThreadCommand.do_it": "self dbg",
        "filter_all_warnings": "",
        "WriterThread.add_command": "self cmd",
        "WriterThread.empty": "self",
    },
    "_pydevd_bundle.pydevd_net_command": {"NetCommand.__init__": "self cmd_id seq text is_json"},
    "_pydevd_bundle.pydevd_net_command_factory_json": {
        "NetCommandFactoryJson.make_console_message": "self msg",
        "NetCommandFactoryJson.make_io_message": "self msg ctx",
        "NetCommandFactoryJson.make_evaluation_timeout_msg": "self py_db expression curr_thread",
        "NetCommandFactoryJson.make_thread_killed_message": "self tid",
    },
    "_pydevd_bundle._debug_adapter.pydevd_schema": {"Thread": "*", "ThreadsResponseBody": "*", "ThreadsResponse": "*"},
    "_pydevd_bundle._debug_adapter.pydevd_base_schema": {"BaseSchema._translate_id_from_dap": "dap_id"},
    "pydevd_tracing": {
        "SetTrace": "tracing_func",
        "set_trace_to_threads": "tracing_func thread_idents create_dummy_thread",
        "restore_sys_set_trace_func": "",
    },
}

#: Of the module that pydevd uses of ``sys.monitoring``, compiled or not.
MONITORING_SHAPES = {
    "monitor": "*",
    "_thread_local_info": "*",
    "ThreadInfo": "*",
    "_code_to_func_code_info_cache": "*",
    "start_monitoring": "all_threads",
    "stop_monitoring": "all_threads",
    "update_monitor_events": "suspend_requested",
    "restart_events": "",
}


@cache
def misfit(uses_monitoring: bool) -> str | None:
    """The first name that is not there or takes something else, and what is wrong with it; ``None`` if all fit.

    All modules must have been imported.
    """
    shapes = dict(SHAPES)
    if uses_monitoring:
        facade = sys.modules["_pydevd_sys_monitoring.pydevd_sys_monitoring"]
        shapes[facade.start_monitoring.__module__] = MONITORING_SHAPES
    for module, names in shapes.items():
        for name, parameters in names.items():
            found: Any = sys.modules.get(module)
            for part in name.split("."):
                found = getattr(found, part, _MISSING)
            if found is _MISSING:
                return f"{module} has no {name}"
            if parameters != "*" and (takes := _parameters(found)) not in (parameters, None):
                return f"{module}.{name} takes ({takes}), not ({parameters})"
    return _misfit_of_class(sys.modules["pydevd"].PyDB)


def _misfit_of_class(debugger: Any) -> str | None:
    for name in OWN_PROPERTIES:
        # What is no property is set by the constructor.
        if name not in debugger.__init__.__code__.co_names and not hasattr(debugger, name):
            return f"pydevd.PyDB has no {name}"
    taken = [name for name in OWN_NAMES if hasattr(debugger, name)]
    return f"pydevd.PyDB has a {taken[0]} of its own" if taken else None


_MISSING = object()


def _parameters(function: Callable[..., Any]) -> str | None:
    """The names of its parameters; ``None`` for a compiled one that doesn't tell."""
    import inspect  # Here, because a closed window needs none of it; pydevd has loaded it.

    try:
        return " ".join(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return None
