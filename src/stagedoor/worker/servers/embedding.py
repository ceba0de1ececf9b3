"""Servers that have Python inside: uWSGI and mod_wsgi. Each puts a module of its own there, and that tells.

Verified with uWSGI 2.0.31, and mod_wsgi 4.9.4 and 6.1.1.
"""

from __future__ import annotations

import math
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .base import Server


def embedding_server() -> Server | None:
    """uWSGI or mod_wsgi, if this process is one of theirs."""
    options = uwsgi_options()
    if options is not None:
        return _uwsgi(options)
    module = mod_wsgi()
    return _mod_wsgi(module) if module is not None else None


def runs_threads() -> bool:
    """Whether a thread that is started in this process runs."""
    options = uwsgi_options()
    return options is None or "enable-threads" in options or int(options.get("threads", 1)) > 1


def _uwsgi(options: dict[str, str]) -> Server:
    mercy = options.get("worker-reload-mercy", "60")
    warning = f"When uWSGI reloads it waits {mercy} s for a paused request (worker-reload-mercy), and kills its worker."
    harakiri = float(options.get("harakiri", 0)) or None
    if harakiri is not None:
        warning += _killing("uWSGI", harakiri, "harakiri")
    return Server(
        "uWSGI",
        int(options.get("threads", 1)),
        "Start it with --threads 8, or with several --processes.",
        has_other_processes=int(getattr(sys.modules["uwsgi"], "numproc", 1)) > 1,
        kills_after=harakiri,
        warning=warning,
    )


def uwsgi_options() -> dict[str, str] | None:
    """The options that uWSGI was started with; ``None`` if this process is not uWSGI's."""
    uwsgi: Any = sys.modules.get("uwsgi")  # A module that uWSGI itself puts there.
    if uwsgi is None or not hasattr(uwsgi, "opt"):
        return None
    return {_text(name): _text(value) for name, value in uwsgi.opt.items()}


def mod_wsgi() -> Any:
    """The module of mod_wsgi's in a process of Apache's, or ``None``. The package of that name has no threads."""
    module = sys.modules.get("mod_wsgi")
    return module if hasattr(module, "threads_per_process") else None


def _mod_wsgi(module: Any) -> Server:
    threads, processes = int(module.threads_per_process), int(module.maximum_processes)
    kills_after, warning = None, None
    if module.process_group:
        # Apache itself does that, whatever mod_wsgi's shutdown-timeout is.
        warning = "When Apache stops or reloads it waits 3 s for a paused request, and kills its worker."
        limit = request_timeout(_apache_configuration(), module.process_group)
        if limit is None:
            warning += (
                " And mod_wsgi kills a worker whose request takes longer than request-timeout of its WSGIDaemonProcess, a"
                " paused one too; Stagedoor can't see whether that is set."
            )
        elif limit:
            # Until 5 the mean over all threads counts, which is at least this when all are busy.
            kills_after = limit * (1 + math.log(threads)) if tuple(module.version) >= (6,) else limit
            warning += _killing("mod_wsgi", kills_after, f"request-timeout={limit:g}")
    return Server(
        "mod_wsgi",
        threads,
        "Give WSGIDaemonProcess threads=5, or several processes.",
        has_other_processes=processes > 1,
        kills_after=kills_after,
        warning=warning,
    )


def request_timeout(configuration: str | None, group: str) -> float | None:
    """Seconds after which mod_wsgi ends a daemon process whose request is not over; 0: never, ``None``: nobody knows.

    :param configuration: the text of Apache's configuration, if it can be read.
    :param group: the name of the process group.
    """
    from shlex import split

    for line in re.sub(r"\\\n", " ", configuration or "").splitlines():
        with suppress(ValueError):
            words = split(line)
            if len(words) > 1 and words[0].lower() == "wsgidaemonprocess" and words[1] == group:
                options = dict(word.partition("=")[::2] for word in words[2:])
                return float(options.get("request-timeout", 0))
    return None


def _apache_configuration() -> str | None:
    """The file that Apache was started with (``-f``, as mod_wsgi-express does), which is this process's parent."""
    with suppress(OSError, ValueError, IndexError):
        words = Path(f"/proc/{os.getppid()}/cmdline").read_bytes().decode().split("\0")
        return Path(words[words.index("-f") + 1]).read_text(errors="replace")
    return None


def _killing(server: str, seconds: float, option: str) -> str:
    return (
        f" And {server} kills a worker whose request takes longer than {seconds:.0f} s ({option}), a paused one too:"
        " a pause ends before that."
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
