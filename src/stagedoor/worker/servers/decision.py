"""How many requests of a process may be paused at the same time. The decision, as a function of facts, and nothing else.

A pause must leave a thread to serve the others, so the number of threads has to be known, or configured, or seen. What
the environ says is not enough: asgiref, cheroot with one thread, and others say ``wsgi.multithread`` and have one.
"""

from __future__ import annotations

from typing import NamedTuple

from .base import A_THREAD_EACH, Server

_STOPS_EVERYBODY = "so a paused request would stop everybody."


class Pauses(NamedTuple):
    """The answer.

    :param limit: how many requests may be paused at the same time.
    :param reason: why there may be none, and which setting helps, sentences; else ``None``.
    """

    limit: int
    reason: str | None


def pauses(server: Server, *, configured: int | None, seen: int, multithread: bool) -> Pauses:
    """Decide.

    :param server: what is known of it. A number that it tells itself is believed before any other.
    :param configured: how many threads one of its processes has, as the operator says (``threads``).
    :param seen: how many requests have been inside the application at the same time, which proves as many threads.
    :param multithread: ``environ["wsgi.multithread"]``, which only chooses the remedy.
    """
    threads = server.threads
    if threads is None:
        threads = configured
    if threads is None and seen > 1:
        threads = seen
    if threads is not None and threads > 1:
        return Pauses(threads if threads == A_THREAD_EACH else threads - 1, None)
    if server.threads == 1 and server.has_other_processes:
        return Pauses(1, None)
    return Pauses(0, _reason(server, configured, multithread))


def _reason(server: Server, configured: int | None, multithread: bool) -> str:
    if server.threads is not None:
        return f"{server.name} has one thread here, {_STOPS_EVERYBODY} {server.more_threads}".rstrip()
    if configured is not None:
        return (
            f"The server has one thread, as threads={configured} says, {_STOPS_EVERYBODY}"
            " Run it with several, and set threads (STAGEDOOR_THREADS) to their number."
        )
    if not multithread:
        return (
            f"The server says that it handles one request at a time, {_STOPS_EVERYBODY}"
            " Run it with threads (gunicorn: --threads 8); if it has some, say how many (STAGEDOOR_THREADS)."
        )
    return (
        "This server can't be asked how many threads it has; with one, a paused request would stop everybody."
        " Set threads (STAGEDOOR_THREADS) to how many one process has."
    )
