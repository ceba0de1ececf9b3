"""The Python interpreter for a process of its own, also where ``sys.executable`` is the server (uWSGI, mod_wsgi)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from stagedoor.errors import DebuggerError

#: What a process of its own is given of the environment. Nothing that tells Python where to look for modules.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH")

#: Runs a package's ``__main__`` in an interpreter that has the standard library only, and finds a few packages beside it.
#: A folder in ``PYTHONPATH`` or at the front of ``sys.path`` would come before the standard library: the folder of an
#: installed package holds all others too, and one of them may be called ``asyncio``.
_BOOT = """\
import json, sys
from importlib import import_module
from importlib.machinery import PathFinder
folders = json.loads(sys.argv.pop())
class Packages:
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, [folders[name]]) if name in folders else None
sys.meta_path.append(Packages)
sys.exit(import_module(sys.argv[1] + ".__main__").main())
"""


def python_executable() -> str:
    """``sys.executable`` if it is Python, else the interpreter in ``sys.prefix`` or, outside of it, ``sys.base_prefix``.

    :raises DebuggerError: if there is none.
    """
    candidates = [Path(sys.executable)] if Path(sys.executable or "").name.lower().startswith("python") else []
    for prefix in (sys.prefix, sys.base_prefix):
        for name in (f"python{sys.version_info.major}.{sys.version_info.minor}", "python3", "python"):
            candidates.append(Path(prefix, "bin", name))
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return str(candidate)
    raise DebuggerError(
        f"sys.executable is {sys.executable!r}, which is not Python, and there is no interpreter in {sys.prefix}/bin.",
        "Run the server from a virtual environment.",
    )


def isolated_command(package: str, needed: Sequence[str]) -> list[str]:
    """The command that runs ``package`` with nothing of the application's around it: no variable, no user's site, no
    ``.pth`` file, no ``sitecustomize``, and no module of its site-packages in the place of the standard library's.

    :param package: its ``__main__`` has a function ``main``, which returns the exit code.
    :param needed: the packages outside of the standard library that can be imported there, from where this process has
        them: a folder, also one of an editable installation, or a zip file.
    :raises DebuggerError: if there is no interpreter.
    """
    origins = {name: spec.origin for name in needed if (spec := importlib.util.find_spec(name)) is not None}
    folders = {name: str(Path(origin).parent.parent) for name, origin in origins.items() if origin}
    # -I: no variables, no user's site. -S: no site-packages. -B: nothing is written into the application's folders.
    return [python_executable(), "-I", "-S", "-B", "-c", _BOOT, package, json.dumps(folders)]


def start_process(command: Sequence[str], *, stdin: int, output: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process of its own, far from the application's folder, variables and terminal.

    :param stdin: as :class:`subprocess.Popen` has it.
    :param output: where it writes, also its errors.
    """
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        start_new_session=True,
    )


def kill_process(process: subprocess.Popen[bytes]) -> None:
    """End what :func:`start_process` has started, with whatever that has started, which would hold its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
