"""The Python interpreter for a process of its own, also where ``sys.executable`` is the server (uWSGI, mod_wsgi)."""

from __future__ import annotations

import sys
from pathlib import Path

from stagedoor.errors import DebuggerError


def python_executable() -> str:
    """``sys.executable`` if it is Python, else the interpreter in ``sys.prefix``.

    :raises DebuggerError: if there is none.
    """
    if sys.executable and Path(sys.executable).name.lower().startswith("python"):
        return sys.executable
    for name in (f"python{sys.version_info.major}.{sys.version_info.minor}", "python3", "python"):
        candidate = Path(sys.prefix) / "bin" / name
        if candidate.exists():
            return str(candidate)
    raise DebuggerError(
        f"sys.executable is {sys.executable!r}, which is not Python, and there is no interpreter in {sys.prefix}/bin.",
        "Run the server from a virtual environment.",
    )
