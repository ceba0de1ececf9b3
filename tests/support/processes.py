"""Which processes of this machine are the debugger's."""

from __future__ import annotations

from pathlib import Path


def processes(*words: str, environ: str = "") -> list[int]:
    """The ids of the processes with all of ``words`` on their command line, where a NUL ends each argument.

    :param environ: what is in their environment as well.
    """
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if not all(word.encode() in command for word in words):
                continue
            if environ.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:  # It has ended meanwhile, or is another user's.
            continue
    return found


def adapters(port: int) -> list[int]:
    """Those of debugpy's adapter that serve this debug port."""
    return processes("--for-server", f"\0{port}\0")
