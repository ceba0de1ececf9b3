"""What Stagedoor runs on. Older Pythons read this file too, so it is written for them, and imports nothing of ours."""

import importlib.util
import os
import socket
import sys

#: The oldest Python, as pyproject.toml has it.
NEEDED = (3, 11)


def require_python() -> None:
    """Go no further on a Python that is too old: the command ends with one line, an import fails with the same sentence.

    :raises ImportError: if it is; :class:`SystemExit` where the command ``stagedoor`` is being started.
    """
    if sys.version_info[:2] >= NEEDED:
        return
    needed, found = ("{}.{}".format(*version[:2]) for version in (NEEDED, sys.version_info))
    sentence = (
        f"Stagedoor needs Python {needed} or newer, and this is Python {found}: {sys.executable}."
        " Install it for a newer one."
    )
    # With -m the package is imported to find its __main__, and the arguments are not there yet.
    command = os.path.splitext(os.path.basename(sys.argv[0] if sys.argv else ""))[0]
    if command in ("-m", "stagedoor"):
        sys.stderr.write(f"stagedoor: {sentence}\n")
        raise SystemExit(1)
    raise ImportError(sentence)


def missing_for_gatekeeper() -> "list[str]":
    """What this platform does not have of what the gatekeeper needs: Unix sockets that say whose they are, and locks."""
    missing = [] if importlib.util.find_spec("fcntl") else ["fcntl"]
    if not hasattr(socket, "AF_UNIX"):
        missing.append("socket.AF_UNIX")
    if not hasattr(os, "geteuid"):
        missing.append("os.geteuid")
    return missing


def gatekeeper_misfit(what: str) -> "str | None":
    """Why ``what`` can't be had on this platform, a sentence, or ``None`` if it can."""
    missing = missing_for_gatekeeper()
    if not missing:
        return None
    lacking = " and no ".join(missing)
    return (
        f"{what} needs the gatekeeper, and Python has no {lacking} on this platform ({sys.platform})."
        ' Here the application debugs by itself, with debugger="listen".'
    )
