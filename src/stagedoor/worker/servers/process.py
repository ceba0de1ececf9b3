"""The facts of this process: what a debugger would meet in it. Nothing of a debugger is imported for them."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from .embedding import mod_wsgi, runs_threads, uwsgi_options


@dataclass(frozen=True, slots=True)
class Process:
    """The facts.

    :param python: the version of Python.
    :param in_subinterpreter: whether it is not the process's main interpreter that runs.
    :param mod_wsgi: the version of mod_wsgi, or ``None``.
    :param is_daemon: whether it is a daemon process of mod_wsgi's.
    :param is_uwsgi: whether it is a process of uWSGI's.
    :param hub: what runs the request in a greenlet, or has made greenlets of this process's threads: ``"gevent"``,
        ``"eventlet"``, ``"greenlet"``, or ``None``.
    :param is_patched: whether the threads are greenlets in the whole process.
    :param runs_threads: whether a thread that is started here runs.
    """

    python: tuple[int, int] = (3, 13)
    in_subinterpreter: bool = False
    mod_wsgi: tuple[int, ...] | None = None
    is_daemon: bool = False
    is_uwsgi: bool = False
    hub: str | None = None
    is_patched: bool = False
    runs_threads: bool = True


def this_process() -> Process:
    """The facts of this process, and of the request that the calling thread serves."""
    module = mod_wsgi()
    patched = _patched()
    return Process(
        python=sys.version_info[:2],
        in_subinterpreter=_in_subinterpreter(),
        mod_wsgi=tuple(module.version) if module is not None else None,
        is_daemon=module is not None and bool(module.process_group),
        is_uwsgi=uwsgi_options() is not None,
        hub=patched or _hub(),
        is_patched=patched is not None,
        runs_threads=runs_threads(),
    )


def _in_subinterpreter() -> bool:
    if sys.version_info >= (3, 12):
        return False  # It does not matter there.
    with suppress(ImportError):
        interpreters: Any = import_module("_xxsubinterpreters")
        return bool(interpreters.get_current() != interpreters.get_main())
    return bool(getattr(mod_wsgi(), "application_group", ""))


def _patched() -> str | None:
    """Who has made greenlets of threads here: a pause would stop the whole hub (debugpy issues 749 and 1206)."""
    gevent: Any = sys.modules.get("gevent.monkey")
    if gevent is not None and (gevent.is_module_patched("threading") or gevent.is_module_patched("socket")):
        return "gevent"
    eventlet: Any = sys.modules.get("eventlet.patcher")
    if eventlet is not None and (eventlet.is_monkey_patched("thread") or eventlet.is_monkey_patched("socket")):
        return "eventlet"
    return None


def _hub() -> str | None:
    """Who runs the calling thread in a greenlet, where nothing is patched: gevent's own server, eventlet's, uWSGI's."""
    greenlet: Any = sys.modules.get("greenlet")
    current = greenlet.getcurrent() if greenlet is not None else None
    if current is None or current.parent is None:
        return None  # The thread's own.
    for kind in (type(current), type(current.parent)):
        library = kind.__module__.split(".")[0]
        if library in ("gevent", "eventlet"):
            return library
    return "greenlet"
