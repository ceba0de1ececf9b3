"""Releases of debugpy that don't exist: copies of the installed one that call themselves something else, or are broken."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
from pathlib import Path

INSTALLED = importlib.metadata.version("debugpy")

PYDEVD = "_vendored/pydevd/pydevd.py"

#: What breaks one fact: a file of debugpy's, a text in it, and what stands there instead.
BROKEN = {
    "it stops on no error": (
        "server/api.py",
        "def trigger_exception_handler(excinfo=None, as_uncaught=True):\n",
        "def trigger_exception_handler(excinfo=None, as_uncaught=True):\n    return\n",
    ),
    "it never pauses": (
        PYDEVD,
        "    def do_wait_suspend(self, thread, frame, event, arg, exception_type=None):  # @UnusedVariable\n",
        "    def do_wait_suspend(self, thread, frame, event, arg, exception_type=None):\n        return\n",
    ),
    "it traces all threads": (
        PYDEVD,
        "    def initialize_network(self, sock, terminate_on_socket_close=True):\n",
        "    def initialize_network(self, sock, terminate_on_socket_close=True):\n"
        "        threading.settrace(lambda frame, event, argument: lambda *arguments: None)\n",
    ),
    "its end leaves a thread": (
        PYDEVD,
        "def stoptrace():\n",
        "def stoptrace():\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
    ),
}

#: What no longer fits: a method that is overridden is renamed, one takes something else, a command is renamed.
MISFITS = {
    "a method that is overridden": (
        (PYDEVD, "def patch_threads(", "def patch_all_threads("),
        "pydevd has no PyDB.patch_threads",
    ),
    "what a method takes": (
        (PYDEVD, "def do_wait_suspend(self, thread, frame,", "def do_wait_suspend(self, thread, thread_id, frame,"),
        "pydevd.PyDB.do_wait_suspend takes (self thread thread_id frame event arg exception_type), not"
        " (self thread frame event arg exception_type)",
    ),
    "a command": (
        ("_vendored/pydevd/_pydevd_bundle/pydevd_api.py", "def request_terminate_process(", "def request_terminate("),
        "_pydevd_bundle.pydevd_api has no PyDevdAPI.request_terminate_process",
    ),
    "what processes a request": (
        (
            "_vendored/pydevd/_pydevd_bundle/pydevd_process_net_command_json.py",
            "def process_net_command_json(self, py_db, json_contents, send_response=True):",
            "def process_net_command_json(self, json_contents, send_response=True):",
        ),
        "PyDevJsonCommandProcessor.process_net_command_json takes",
    ),
    "a name of ours that is now one of its own": (
        (PYDEVD, "    def patch_threads(", "    def has_client(self):\n        return True\n\n    def patch_threads("),
        "pydevd.PyDB has a has_client of its own",
    ),
}


def copy_of_debugpy(folder: Path, version: str = INSTALLED, *changes: tuple[str, str, str]) -> str:
    """Copy the installed debugpy into ``folder``; returns what to put on ``PYTHONPATH``.

    :param version: what it calls itself.
    :param changes: files, each with a text in it and what stands there instead.
    """
    spec = importlib.util.find_spec("debugpy")
    assert spec is not None
    assert spec.origin is not None
    copy = folder / "debugpy"
    shutil.copytree(Path(spec.origin).parent, copy)
    for name, before, after in (("_version.py", f'"version": "{INSTALLED}"', f'"version": "{version}"'), *changes):
        text = (copy / name).read_text()
        assert before in text, f"{name} is not as it was"
        (copy / name).write_text(text.replace(before, after, 1))
    return str(folder)
