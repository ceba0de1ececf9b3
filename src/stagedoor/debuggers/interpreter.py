"""The Python interpreter for a process of its own, also where ``sys.executable`` is the server (uWSGI, mod_wsgi)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from stagedoor.errors import DebuggerError


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
