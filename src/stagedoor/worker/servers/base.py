"""What is known of a server, as facts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

#: The threads of a server that starts one for each request.
A_THREAD_EACH = sys.maxsize


@dataclass(frozen=True, slots=True)
class Server:
    """The server of this process. What is not known of it is assumed to be as bad as can be.

    :param name: as the beginning of a sentence, such as ``"gunicorn"``.
    :param threads: how many requests one of its processes handles at the same time; ``None`` if nobody knows.
    :param more_threads: how it gets more of them, a sentence.
    :param has_other_processes: whether others of its processes serve everybody else while this one is paused as a whole.
        ``wsgi.multiprocess`` says so of bjoern and Tornado too, which have one.
    :param keep_alive: tells the server's arbiter that this worker is well, which it can't do by itself during a request.
    :param retiring: whether the worker has to end, and a paused request would hold that up.
    :param kills_after: seconds from a request's beginning after which the server kills the worker that serves it.
    :param warning: what the developer has to know of pauses in this server, sentences.
    :param refusal: why no request of it can be debugged, whatever it is configured to, sentences.
    """

    name: str = "The server"
    threads: int | None = None
    more_threads: str = ""
    has_other_processes: bool = False
    keep_alive: Callable[[], None] | None = None
    retiring: Callable[[], bool] | None = None
    kills_after: float | None = None
    warning: str | None = None
    refusal: str | None = None

    @property
    def must_end(self) -> bool:
        """Whether the worker has to end. Never raises."""
        with suppress(Exception):
            return self.retiring is not None and self.retiring()
        return False

    @property
    def longest_request(self) -> float | None:
        """Seconds from a request's beginning after which it must not be paused any more, so that its worker is not
        killed: it has to come to its end yet, and a server looks at its clock once a second.
        """
        return None if self.kills_after is None else self.kills_after - min(5.0, self.kills_after / 4)
