"""What the tracing believes of debugpy and pydevd, asked of the real ones: a release that changes it fails here, by name.

What a whole request shows is in test_tracing.py and test_listen.py; here are the parts on which that rests. All facts
are established in one process of their own, in which nothing of Stagedoor is imported.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MONITORING = sys.version_info >= (3, 12)

FACTS: dict[str, Callable[[], None]] = {}


def fact(function: Callable[[], None]) -> Callable[[], None]:
    FACTS[function.__name__.replace("_", " ")] = function
    return function


def module(name: str) -> Any:
    return importlib.import_module(name)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def names_in(function: Any) -> set[str]:
    """The global names and attributes that a function uses, with those of the functions within it."""
    code = function.__code__
    inner = [each.co_names for each in code.co_consts if inspect.iscode(each)]
    return {*code.co_names, *(name for names in inner for name in names)}


# -- Importing ---------------------------------------------------------------------------------------------------------


@fact
def importing_debugpy_does_not_load_pydevd() -> None:
    import debugpy

    assert debugpy.__version__
    assert "pydevd" not in sys.modules


@fact
def importing_pydevd_takes_debugpy_server_api() -> None:
    try:
        module("pydevd")
    except ImportError:
        pass
    else:
        raise AssertionError("pydevd could be imported")
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    module("debugpy.server.api")
    del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
    assert "pydevd" in sys.modules


@fact
def importing_pydevd_replaces_the_breakpointhook() -> None:
    assert sys.breakpointhook is not sys.__breakpointhook__


@fact
def importing_pydevd_changes_no_thread_and_no_trace_function() -> None:
    import _thread

    assert sys.gettrace() is None
    assert threading.gettrace() is None
    assert _thread.start_new_thread.__module__ == "_thread"
    assert threading.enumerate.__code__.co_filename == threading.__file__
    assert os.fork.__module__ == "posix"


@fact
def events_come_from_sys_monitoring_on_3_12_and_later() -> None:
    assert module("_pydevd_bundle.pydevd_constants").PYDEVD_USE_SYS_MONITORING is MONITORING


@fact
def debugpy_describes_the_environment_to_its_log_once_or_takes_it_as_described() -> None:
    api = module("debugpy.server.api")
    described: list[str] = []
    original, api.log.describe_environment = api.log.describe_environment, described.append
    try:
        assert api.ensure_logging.ensured is False
        for ensured, times in ((True, 0), (False, 1)):
            api.ensure_logging.ensured = ensured
            api.ensure_logging()
            assert len(described) == times
    finally:
        api.log.describe_environment = original
        api.ensure_logging.ensured = False
    assert api.log.log_dir is None


# -- Shapes ------------------------------------------------------------------------------------------------------------


@fact
def the_reader_asks_itself_for_what_processes_a_request() -> None:
    """So that another function can be put in its place, which answers where that one fails."""
    reader = module("_pydevd_bundle.pydevd_comm").ReaderThread
    assert "process_net_command_json" in names_in(reader._on_run)
    assert "process_net_command_json" in names_in(reader.__init__)


@fact
def the_debuggers_methods_that_are_overridden_have_their_parameters() -> None:
    debugger = module("pydevd").PyDB
    expected = {
        "__init__": ["self", "set_as_global"],
        "initialize_network": ["self", "sock", "terminate_on_socket_close"],
        "is_attached": ["self"],
        "enable_tracing": ["self", "thread_trace_func", "apply_to_all_threads"],
        "patch_threads": ["self"],
        "set_trace_for_frame_and_parents": ["self", "thread_ident", "frame", "kwargs"],
        "notify_thread_created": ["self", "thread_id", "thread", "use_lock"],
        "do_wait_suspend": ["self", "thread", "frame", "event", "arg", "exception_type"],
        "enable_output_redirection": ["self", "redirect_stdout", "redirect_stderr"],
        "dispose_and_kill_all_pydevd_threads": ["self", "wait", "timeout"],
        "on_configuration_done": ["self"],
        "on_disconnect": ["self"],
    }
    assert {name: parameters(getattr(debugger, name)) for name in expected} == expected
    assert parameters(debugger.set_suspend)[:5] == [
        "self", "thread", "stop_reason", "suspend_other_threads", "is_pause",
    ]  # fmt: skip
    assert parameters(debugger.setup_auto_reload_watcher)[:1] == ["self"]
    assert isinstance(debugger.multi_threads_single_notification, property)


@fact
def pause_names_its_argument_is_pause() -> None:
    assert "is_pause" in inspect.getsource(module("_pydevd_bundle.pydevd_api").PyDevdAPI.request_suspend_thread)


@fact
def the_commands_that_are_replaced_have_their_parameters() -> None:
    commands = module("_pydevd_bundle.pydevd_api").PyDevdAPI
    assert parameters(commands.request_disconnect) == ["self", "py_db", "resume_threads"]
    assert parameters(commands.request_terminate_process) == ["self", "py_db"]
    assert parameters(commands.request_resume_thread) == ["self", "thread_id"]
    assert parameters(commands.list_threads) == ["self", "py_db", "seq"]


@fact
def terminating_goes_through_the_one_command_that_is_replaced() -> None:
    processor = module("_pydevd_bundle.pydevd_process_net_command_json").PyDevJsonCommandProcessor
    assert "request_terminate_process" in names_in(processor._request_terminate_process)
    for handler in (processor.on_terminate_request, processor.on_disconnect_request):
        assert "_request_terminate_process" in names_in(handler)
        assert not names_in(handler) & {"_exit", "kill"}


@fact
def settrace_takes_what_it_is_given() -> None:
    expected = {"host", "port", "suspend", "trace_only_current_thread", "patch_multiprocessing", "notify_stdin"}
    expected |= {"block_until_connected", "wait_for_ready_to_run", "dont_trace_start_patterns"}
    assert expected <= set(parameters(module("pydevd").settrace))


@fact
def settrace_looks_its_debugger_and_its_connection_up_by_name() -> None:
    pydevd = module("pydevd")
    assert "PyDB" in names_in(pydevd._locked_settrace)
    assert "SetupHolder" in names_in(pydevd._locked_settrace)
    assert "start_client" in names_in(pydevd.PyDB.connect)
    assert parameters(pydevd.start_client) == ["host", "port"]
    assert "pydevd" in names_in(module("debugpy.server.api")._settrace)


@fact
def threads_are_listed_through_the_name_that_is_replaced() -> None:
    pydevd = module("pydevd")
    assert pydevd.threadingEnumerate is threading.enumerate
    assert "threadingEnumerate" in names_in(pydevd.PyDB.process_internal_commands)
    assert "enumerate" not in names_in(pydevd.PyDB.process_internal_commands)


@fact
def starting_the_network_sleeps_by_the_name_that_is_replaced() -> None:
    assert {"time", "sleep"} <= names_in(module("pydevd").PyDB.initialize_network)


@fact
def every_thread_that_was_ever_asked_for_its_id_is_kept() -> None:
    constants = module("_pydevd_bundle.pydevd_constants")
    thread = threading.Thread()
    constants.get_thread_id(thread)
    assert constants._thread_id_to_thread_found[id(thread)] is thread
    del constants._thread_id_to_thread_found[id(thread)]


@fact
def what_is_known_of_a_thread_is_an_attribute_of_it() -> None:
    infos = module("_pydevd_bundle.pydevd_additional_thread_info")
    thread = threading.current_thread()
    info = infos.set_additional_thread_info(thread)
    assert vars(thread)["additional_info"] is info
    assert info.pydev_step_cmd == info.pydev_original_step_cmd == -1
    assert info.pydev_state == module("_pydevd_bundle.pydevd_constants").STATE_RUN
    assert info.pydev_step_stop is None
    info.suspend_type = module("_pydevd_bundle.pydevd_constants").PYTHON_SUSPEND
    info.pydev_step_cmd = info.pydev_original_step_cmd = module(
        "_pydevd_bundle.pydevd_comm_constants"
    ).CMD_STEP_INTO_MY_CODE
    info.update_stepping_info()
    module("_pydevd_bundle.pydevd_thread_lifecycle").internal_run_thread(thread, infos.set_additional_thread_info)
    assert info.pydev_step_cmd == -1
    infos.remove_additional_info(vars(thread).pop("additional_info"))


@fact
def the_debuggers_own_threads_are_marked() -> None:
    thread = module("_pydevd_bundle.pydevd_daemon_thread").PyDBDaemonThread(module("pydevd").PyDB)
    assert thread.is_pydev_daemon_thread is True
    assert callable(module("_pydevd_bundle.pydevd_comm").WriterThread.empty)


@fact
def an_answer_to_threads_can_be_made() -> None:
    schema = module("_pydevd_bundle._debug_adapter.pydevd_schema")
    body = schema.ThreadsResponseBody([schema.Thread(id="a", name="GET /").to_dict()])
    answer = schema.ThreadsResponse(request_seq=1, success=True, command="threads", body=body)
    command = module("_pydevd_bundle.pydevd_net_command").NetCommand(
        module("_pydevd_bundle.pydevd_comm_constants").CMD_RETURN, 0, answer, is_json=True
    )
    assert command.as_dict["body"]["threads"][0]["name"] == "GET /"


# -- Several developers ------------------------------------------------------------------------------------------------


@fact
def what_is_written_is_made_into_bytes_by_the_commands_constructor() -> None:
    """So that it has to be made again where something is added to it."""
    command = module("_pydevd_bundle.pydevd_net_command").NetCommand(1, 0, {"type": "event", "body": {}}, is_json=True)
    command.as_dict["body"]["added"] = 1
    assert b"added" not in command._as_bytes
    assert "_as_bytes" in names_in(type(command).send)


@fact
def a_breakpoint_counts_its_hits_and_is_judged_by_one_method_of_the_debuggers() -> None:
    breakpoints = module("_pydevd_bundle.pydevd_breakpoints")
    convert = module(
        "_pydevd_bundle.pydevd_process_net_command_json"
    ).PyDevJsonCommandProcessor._get_hit_condition_expression
    cases = {"3": "@HIT@ == 3", "% 2": "@HIT@ % 2 == 0", ">= 5": "@HIT@ >= 5", "": None}
    assert {text: convert(None, text) for text in cases} == cases
    one = breakpoints.LineBreakpoint(
        1, 1, None, "None", None, "NONE", hit_condition=convert(None, "2"), is_logpoint=False
    )
    assert one.has_condition
    assert [one.handle_hit_condition(sys._getframe()) for _ in range(3)] == [False, True, False]
    assert {"handle_hit_condition", "skip_suspend_on_breakpoint_exception"} <= names_in(
        module("pydevd").PyDB.handle_breakpoint_condition
    )
    # Also where it is in a template.
    for plugin, name in (("jinja2_debug", "Jinja2LineBreakpoint"), ("django_debug", "DjangoLineBreakpoint")):
        kind = getattr(module(f"pydevd_plugins.{plugin}"), name)
        assert issubclass(kind, breakpoints.LineBreakpoint)
        assert "has_condition" not in vars(kind)


@fact
def all_breakpoints_of_a_file_become_one_a_line_in_one_place() -> None:
    assert parameters(module("pydevd").PyDB.consolidate_breakpoints) == [
        "self", "canonical_normalized_filename", "id_to_breakpoint", "file_to_line_to_breakpoints",
    ]  # fmt: skip
    assert "consolidate_breakpoints" in names_in(module("_pydevd_bundle.pydevd_api").PyDevdAPI.add_breakpoint)


@fact
def what_is_set_asks_for_numbers_and_removal_by_the_names_that_are_replaced() -> None:
    processor = module("_pydevd_bundle.pydevd_process_net_command_json").PyDevJsonCommandProcessor
    assert {"_next_breakpoint_id", "remove_all_breakpoints"} <= names_in(processor.on_setbreakpoints_request)
    assert "_next_breakpoint_id" in names_in(processor.on_setfunctionbreakpoints_request)
    assert "remove_all_exception_breakpoints" in names_in(processor.on_setexceptionbreakpoints_request)
    made = processor(None)
    assert next(iter([made._next_breakpoint_id()])) + 1 == made._next_breakpoint_id()
    assert made._launch_or_attach_request_done is False


@fact
def the_breakpoint_on_an_exception_is_asked_for_by_an_attribute_of_the_debuggers() -> None:
    assert "get_exception_breakpoint" in names_in(module("pydevd").PyDB.__init__)
    assert "get_exception_breakpoint" in names_in(
        module("_pydevd_bundle.pydevd_breakpoints").stop_on_unhandled_exception
    )
    assert "get_exception_breakpoint" in names_in(module("_pydevd_bundle.pydevd_frame").should_stop_on_exception)
    assert "plugin" in names_in(module("pydevd").PyDB.get_plugin_lazy_init)
    assert not hasattr(module("_pydevd_bundle.pydevd_plugin_utils").PluginManager, "__slots__")


@fact
def an_evaluation_finds_what_catches_its_output_by_the_name_that_is_replaced() -> None:
    comm = module("_pydevd_bundle.pydevd_comm")
    names = names_in(comm.internal_evaluate_expression_json)
    assert {
        "pydevd_io",
        "redirect_stream_to_pydb_io_messages_context",
        "filter_all_warnings",
        "is_output_redirected",
    } <= names
    constants = module("_pydevd_bundle.pydevd_constants")
    assert comm.filter_all_warnings is constants.filter_all_warnings
    assert "filter_all_warnings" in names_in(constants.silence_warnings_decorator)


# -- sys.settrace ------------------------------------------------------------------------------------------------------


@fact
def the_trace_functions_have_their_parameters() -> None:
    tracing = module("pydevd_tracing")
    assert parameters(tracing.SetTrace) == ["tracing_func"]
    assert parameters(tracing.set_trace_to_threads) == ["tracing_func", "thread_idents", "create_dummy_thread"]
    assert parameters(tracing.restore_sys_set_trace_func) == []


@fact
def a_thread_can_be_made_to_untrace_itself_from_outside() -> None:
    if MONITORING:
        return
    tracing = module("pydevd_tracing")
    untraced, done = threading.Event(), threading.Event()

    def run() -> None:
        sys.settrace(lambda frame, event, argument: None)
        while sys.gettrace() is not None:
            threads_of_debugger()
        untraced.set()
        done.wait(5)

    def untrace(frame: Any, event: str, argument: Any) -> None:
        sys.settrace(None)

    thread = threading.Thread(target=run)
    thread.start()
    assert tracing.set_trace_to_threads(untrace, [thread.ident], create_dummy_thread=False) == 0
    assert untraced.wait(5)
    done.set()
    thread.join(5)


# -- sys.monitoring ----------------------------------------------------------------------------------------------------


def monitoring_module() -> Any:
    facade = module("_pydevd_sys_monitoring.pydevd_sys_monitoring")
    return sys.modules[facade.start_monitoring.__module__]


@fact
def pydevd_reaches_sys_monitoring_by_a_name_of_its_own() -> None:
    if not MONITORING:
        return
    events = monitoring_module()
    real = events.monitor
    assert real is sys.monitoring  # type: ignore[attr-defined]
    asked: list[str] = []

    class Recorder:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(real, name)

    events.monitor = Recorder()
    try:
        events.start_monitoring(all_threads=True)
        assert real.get_tool(real.DEBUGGER_ID) == "pydevd"
        events.stop_monitoring(all_threads=True)
        assert real.get_tool(real.DEBUGGER_ID) is None
    finally:
        events.monitor = real
    assert {"use_tool_id", "set_events", "free_tool_id"} <= set(asked)


@fact
def whether_a_thread_is_traced_is_a_flag_that_can_be_put_in_its_place() -> None:
    if not MONITORING:
        return
    events = monitoring_module()

    class NoThread:
        _is_stopped = True

    class Local(threading.local):
        thread_info = events.ThreadInfo(NoThread(), 1, False, None)

    real = events._thread_local_info
    events._thread_local_info = Local()
    try:
        assert events.suspend_current_thread_tracing() is False
        events._thread_local_info.thread_info = events.ThreadInfo(NoThread(), 1, True, None)
        assert events.suspend_current_thread_tracing() is True
    finally:
        events._thread_local_info = real


@fact
def a_thread_is_traced_by_default() -> None:
    """The reason for putting another flag in its place; if it is false one day, the tracing can be simpler."""
    if not MONITORING:
        return
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(monitoring_module().suspend_current_thread_tracing()))
    thread.start()
    thread.join(5)
    assert seen == [True]


@fact
def what_is_known_of_code_is_a_dictionary_that_can_be_emptied() -> None:
    if MONITORING:
        cache = monitoring_module()._code_to_func_code_info_cache
        assert type(cache) is dict
        cache.clear()


@fact
def the_callback_for_unwinding_is_left_behind_at_the_end() -> None:
    if not MONITORING:
        return
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    assert "PY_UNWIND" not in inspect_source("stop_monitoring")
    assert "PY_UNWIND" in inspect_source("update_monitor_events")
    assert monitoring.register_callback(monitoring.DEBUGGER_ID, monitoring.events.PY_UNWIND, None) is None


@fact
def the_place_is_taken_under_pydevds_name_with_callbacks_for_seven_events() -> None:
    if not MONITORING:
        return
    assert 'use_tool_id(DEBUGGER_ID, "pydevd")' in inspect_source("start_monitoring")
    folder = Path(module("pydevd").__file__).parent / "_pydevd_sys_monitoring"
    source = (folder / "_pydevd_sys_monitoring.py").read_text()
    registered = set(re.findall(r"register_callback\(\w+, monitor\.events\.(\w+), _", source))
    assert registered == {"PY_START", "PY_RESUME", "PY_RETURN", "PY_UNWIND", "LINE", "JUMP", "RAISE"}


def inspect_source(name: str) -> str:
    """A function's source; that of the compiled module is next to it."""
    folder = Path(module("pydevd").__file__).parent / "_pydevd_sys_monitoring"
    source = (folder / "_pydevd_sys_monitoring.py").read_text()
    start = source.index(f"def {name}(")
    end = source.find("\n# fmt: off", start)
    return source[start : end if end > 0 else len(source)]


# -- Starting and stopping ---------------------------------------------------------------------------------------------


def threads_of_debugger() -> list[str]:
    return [each.name for each in threading.enumerate() if getattr(each, "is_pydev_daemon_thread", False)]


@fact
def listening_starts_an_adapter_that_has_the_token_on_its_command_line() -> None:
    import debugpy

    debugpy.configure(subProcess=False, python=sys.executable)
    exits = atexit._ncallbacks()
    debugpy.listen(("127.0.0.1", 0))
    assert atexit._ncallbacks() > exits, "pydevd stops at exit by itself"
    token = module("pydevd").SetupHolder.setup["access-token"]
    assert len(list(processes_with(token))) == 1


def processes_with(token: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@fact
def listening_twice_is_refused() -> None:
    import debugpy

    try:
        debugpy.listen(("127.0.0.1", 0))
    except RuntimeError as error:
        assert "already been called" in str(error)
    else:
        raise AssertionError("a second adapter was started")


@fact
def without_subprocesses_process_creation_is_not_patched() -> None:
    assert os.fork.__module__ == "posix"
    assert subprocess.Popen.__module__ == "subprocess"
    assert os.execve.__module__ == "posix"


@fact
def settrace_of_the_standard_library_is_replaced_below_3_12() -> None:
    assert (sys.settrace.__module__ == "sys") is MONITORING
    module("pydevd_tracing").restore_sys_set_trace_func()
    assert sys.settrace.__module__ == "sys"


@fact
def the_connection_is_that_of_the_reader_and_the_writer() -> None:
    debugger = module("pydevd").get_global_debugger()
    assert debugger.reader.sock is debugger.writer.sock
    assert debugger.pydb_disposed is False
    assert debugger.is_attached() is False
    assert isinstance(debugger.mtime, int)
    queue, event = debugger.get_internal_queue_and_event("a thread")
    assert queue.empty()
    assert not event.is_set()


@fact
def the_debuggers_threads_can_be_told_to_end_by_name_and_more_than_once() -> None:
    debugger = module("pydevd").get_global_debugger()
    assert debugger.reader in debugger.created_pydb_daemon_threads
    assert all(parameters(thread.do_kill_pydev_thread) == [] for thread in debugger.created_pydb_daemon_threads)
    assert parameters(debugger.dispose_and_kill_all_pydevd_threads) == ["wait", "timeout"]


@fact
def locks_are_made_new_after_a_fork_by_one_function_which_only_a_patched_fork_calls() -> None:
    constants = module("_pydevd_bundle.pydevd_constants")
    lock = constants.ForkSafeLock()
    assert lock.acquire()
    constants.after_fork()
    assert lock.acquire(False)
    lock.release()
    assert os.fork.__module__ == "posix"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@fact
def stopping_in_the_right_order_leaves_nothing_and_debugpy_starts_again() -> None:
    import socket

    import debugpy

    pydevd, api = module("pydevd"), module("debugpy.server.api")
    for _ in range(2):
        token = pydevd.SetupHolder.setup["access-token"]
        debugger = pydevd.get_global_debugger()
        module("_pydevd_bundle.pydevd_api").PyDevdAPI().request_disconnect(debugger, resume_threads=True)
        debugger.reader.sock.shutdown(socket.SHUT_RDWR)
        pydevd.stoptrace()
        atexit.unregister(pydevd.stoptrace)
        pydevd.SetupHolder.setup = None
        api.listen.called = False
        for thread in threading.enumerate():
            if getattr(thread, "is_pydev_daemon_thread", False):
                thread.join(5)
        assert threads_of_debugger() == []
        # Its reader and its check for life may still be about to say so.
        wait_until(lambda: pydevd.get_global_debugger() is None)
        for process in processes_with(token):
            os.kill(process, 15)
        debugpy.listen(("127.0.0.1", 0))
        assert pydevd.get_global_debugger() is not None
    for process in processes_with(pydevd.SetupHolder.setup["access-token"]):
        os.kill(process, 15)


# -- The tests ---------------------------------------------------------------------------------------------------------


def establish() -> dict[str, str]:
    """What is wrong with each fact; nothing, if it is one."""
    wrong = {}
    for name, check in FACTS.items():
        try:
            check()
        except BaseException:
            wrong[name] = traceback.format_exc()
        else:
            wrong[name] = ""
    return wrong


@pytest.fixture(scope="module")
def established() -> dict[str, str]:
    answer = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )
    assert answer.stdout, answer.stderr
    return json.loads(answer.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", FACTS)
def test_fact(established: dict[str, str], name: str) -> None:
    assert not established[name], f"debugpy is not as the tracing believes it to be:\n{established[name]}"


@pytest.mark.parametrize("name", ["json", "dataclasses"])
def test_the_adapter_looks_in_the_folder_of_debugpy_before_the_standard_library(tmp_path: Path, name: str) -> None:
    package = Path(str(find_spec("debugpy").origin)).parent  # type: ignore[union-attr]
    shutil.copytree(package, tmp_path / "debugpy")
    (tmp_path / f"{name}.py").write_text(f"import os; os.write(2, b'found beside debugpy: {name}'); os._exit(0)")
    # As debugpy.listen() starts it.
    command = [sys.executable, str(tmp_path / "debugpy" / "adapter"), "--for-server", "1", "--port", "0"]
    found = subprocess.run(
        [*command, "--server-access-token", "none"], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stderr == f"found beside debugpy: {name}"


def test_nothing_of_stagedoor_takes_part() -> None:
    assert not [name for name in globals() if isinstance(globals()[name], ModuleType) and "stagedoor" in name]


if __name__ == "__main__":
    print(json.dumps(establish()))
    sys.stdout.flush()
    os._exit(0)
