"""Which matching requests are paused: how many at the same time, and on which errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .requests import Requests
from .state import Matching, Pause, TracingListener


class Pauses(Requests):
    """The pauses of one window's matching requests in this process.

    :param listener: who is told of them.
    """

    def __init__(self, listener: TracingListener) -> None:
        super().__init__()
        self._listener = listener
        # Held while a thread takes one of the pauses that may be at the same time. By its own thread it can be taken again.
        self._pausing = threading.RLock()
        #: How many requests have run on since as many are paused as may be.
        self._ran_past = 0
        #: How many requests may be paused at the same time; ``None``: as many as come.
        self.pause_limit: int | None = None

    @property
    def is_full(self) -> bool:
        """Whether as many requests are paused as may be."""
        if self.pause_limit is None:
            return False
        matching = list(self._matching.values())
        paused = {each.request_itself for each in matching if each.pause is not None and not each.is_job}
        return len(paused) >= self.pause_limit

    def run_past(self, request: str) -> None:
        """A matching request runs on, because as many are paused as may be. The listener hears of the first, and when one
        of the paused requests has run on, of how many there were.
        """
        with self._pausing:
            self._ran_past += 1
            is_first = self._ran_past == 1
        if is_first:
            self._listener.not_paused(request, self.pause_limit or 0)

    def _pause_is_over(self, matching: Matching) -> None:
        with self._pausing:
            matching.pause = None
            number, self._ran_past = self._ran_past, 0
        if number:
            self._listener.ran_past(number)

    @property
    def pauses(self) -> list[Pause]:
        """The requests that are paused now."""
        return [matching.pause for matching in list(self._matching.values()) if matching.pause is not None]

    def resume(self, pause: Pause, *, for_good: bool = False) -> None:
        """Let a paused request run on.

        :param for_good: it is not paused again.
        """
        matching = self._matching.get(pause.thread)
        if matching is not None and matching.pause is pause:
            matching.request_itself.runs_on = for_good
            self._internals.run_thread(matching.thread)
            self._internals.wake(self._debugger, matching.thread)

    def stop_on_exception(self, error: BaseException) -> None:
        """See :func:`stagedoor.tracing.stop_on_exception`."""
        matching = self.served()
        if (
            matching is not None
            and not matching.over
            and self.attached
            and not any(error is shown for shown in matching.shown)
        ):
            self._internals.debugpy.trigger_exception_handler(error)

    def wait_suspended(
        self, thread: threading.Thread, frame: Any, wait: Callable[[], None], error: BaseException | None = None
    ) -> None:
        """Pause the calling thread through ``wait``, if it serves a matching request; else let it run on.

        :param error: the exception on which it stops.
        """
        ident = threading.get_ident()
        matching = self._matching.get(ident)
        if matching is None or matching.over or matching.request_itself.runs_on or self._stopped:
            # Nobody else ever waits. It comes here by a breakpoint() in the application's code, for example.
            self._internals.run_thread(thread)
            self._threads.deny()
            return None
        if matching.pause is not None:
            # Still the same pause: pydevd waits again after "jump to cursor".
            return wait()
        pause = Pause(matching.request, ident, time.monotonic(), frame.f_code.co_filename, _line(frame, error))
        with self._pausing:
            if not self.is_full or matching.is_job or any(each.pause for each in self._others(matching)):
                matching.pause = pause
        if matching.pause is None:
            self._internals.run_thread(thread)
            self.run_past(matching.request)
            return None
        if error is not None:
            matching.shown.append(error)
        matching.was_paused = True
        for other in self._others(matching):
            # A step that came from one thread to the other ends with the first stop of either.
            if other.pause is None and self._internals.steps_in(other.thread):
                self._internals.run_thread(other.thread)
        self._threads.rest(matching)
        self._listener.paused(pause)
        try:
            wait()
        except Exception:
            # pydevd's own trouble, which would come up in the application: the request runs on instead.
            self._internals.run_thread(thread)
        finally:
            self._pause_is_over(matching)
            if self._stopped or matching.over:
                self._internals.run_thread(thread)
                self._threads.deny()
                self._report_exit(matching)
            else:
                self._threads.run(matching)
            self._listener.resumed(pause, time.monotonic() - pause.since)

    def _others(self, matching: Matching) -> list[Matching]:
        """The other parts of the same request that threads run now."""
        request = matching.request_itself
        return [
            each for each in list(self._matching.values()) if each is not matching and each.request_itself is request
        ]

    def forget_in_child(self) -> None:
        super().forget_in_child()
        self._pausing = threading.RLock()


def _line(frame: Any, error: BaseException | None) -> int:
    """The line at which ``frame`` is, or has failed: one that is over stands where its last clean-up did."""
    entry = error.__traceback__ if error is not None else None
    while entry is not None:
        if entry.tb_frame is frame:
            return entry.tb_lineno
        entry = entry.tb_next
    return int(frame.f_lineno)
