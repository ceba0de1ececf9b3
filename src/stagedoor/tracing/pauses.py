"""Which matching requests are paused: how many at the same time, and on which errors."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .requests import Requests
from .sharing import may_pause
from .state import EVERYBODY, Matching, Pause, TracingListener


class Pauses(Requests):
    """The pauses of one window's matching requests in this process.

    :param listener: who is told of them.
    """

    def __init__(self, listener: TracingListener) -> None:
        super().__init__()
        self._listener = listener
        # Held while a thread takes one of the pauses that may be at the same time. By its own thread it can be taken again.
        self._pausing = threading.RLock()
        #: How many requests of each session have run on since as many are paused as may be.
        self._ran_past: Counter[str | None] = Counter()
        #: How many requests may be paused at the same time; ``None``: as many as come.
        self.pause_limit: int | None = None

    def is_full(self, session: str | None = None, but: Matching | None = None) -> bool:
        """Whether as many requests are paused as may be for one session. One that is just being stepped keeps its pause:
        it could not stop where the step ends otherwise.

        :param but: which of them does not count.
        """
        if self.pause_limit is None:
            return False
        paused = {
            each.request_itself
            for each in list(self._matching.values())
            if not each.is_job
            and each is not but
            and (each.pause is not None or (each.was_paused and self._internals.is_stepping(each.thread)))
        }
        sessions = self.sessions
        others = sessions.keys if sessions is not None else frozenset()
        return not may_pause(self.pause_limit, Counter(each.session for each in paused), session, others - self._left)

    def run_past(self, request: str, session: str | None = None) -> None:
        """A matching request runs on, because as many are paused as may be. The listener hears of the first of a session's,
        and when one of the paused requests has run on, of how many there were.
        """
        with self._pausing:
            self._ran_past[session] += 1
            is_first = self._ran_past[session] == 1
        if is_first:
            self._listener.not_paused(request, self.pause_limit or 0, session)

    def _pause_is_over(self, matching: Matching) -> None:
        with self._pausing:
            matching.pause = None
            numbers, self._ran_past = self._ran_past, Counter()
        for session, number in numbers.items():
            self._listener.ran_past(number, session)

    def pause(self, number: int) -> str | None:
        """Stop the request with this number where it is, or as soon as a thread runs it again. Nobody else is stopped.

        :returns: why not, a sentence.
        """
        with self._lock:
            asked = next((each for each in list(self._begun) if each.number == number and not each.over), None)
            if asked is None:
                return "This request has ended."
            request = asked.request_itself
            parts = [each for each in list(self._matching.values()) if each.request_itself is request and not each.over]
            if any(each.pause for each in parts):
                return "This request is paused already."
            if request.runs_on:
                return "This request runs on, because it was continued for good."
            if self.is_full(request.session) and not request.is_job:
                return (
                    "This request is not paused: as many of its worker are paused as may be. Continue one of yours, or"
                    " wait for others."
                )
            request.pauses_next = not parts
            for each in parts:
                self._internals.pause(self._debugger, each.thread)
        return None

    def pause_all(self) -> None:
        """Stop all requests that run, each where it is: what the client of :mod:`debugpy.listen` asks for."""
        with self._lock:
            for thread in self.running:
                self._internals.pause(self._debugger, thread)

    @contextmanager
    def paused_as(self, number: int | None) -> Iterator[Matching | None]:
        """The request with this number, if it is paused. No pause begins or ends until that is left."""
        with self._pausing:
            paused = (each for each in list(self._matching.values()) if each.pause is not None and not each.over)
            yield next((each for each in paused if each.number == number), None)

    def forget_session(self, session: str) -> None:
        """A session has gone: its requests run on for good, and its hits are forgotten."""
        with self._pausing:
            self._left.add(session)
            own = [each for each in list(self._begun) if each.session == session]
            for each in own:
                each.request_itself.runs_on = True
        for each in own:
            if (pause := each.pause) is not None:
                self.resume(pause, for_good=True)
        self.breakpoints.forget_session(session)

    def stops_on(self, filter_: str) -> bool:
        """Whether the session of the calling thread's request stops on this kind of exceptions."""
        matching = self.served()
        if matching is None or matching.over or matching.request_itself.runs_on:
            return False
        return matching.session is None or filter_ in self._filters.get(matching.session, ())

    def breakpoints_of(self, file: str, breakpoints: Mapping[int, Any]) -> None:
        self.breakpoints.set_in(file, breakpoints)

    def is_hit(
        self, breakpoint_: Any, frame: Any, judge: Callable[[Any], Any], expression: Callable[[Any], str | None]
    ) -> Any:
        """Whether the calling thread stops at a breakpoint that has a condition: one of its session's there has to count.

        :param judge: says so of one of pydevd's breakpoints, and counts.
        :param expression: the text of its log message.
        """
        rules = self.breakpoints.rules_at(breakpoint_)
        if rules is None:
            return judge(breakpoint_)
        matching = self.served()
        if matching is None or matching.session is None or matching.over or matching.request_itself.runs_on:
            return False
        hits, place = [], self.breakpoints.place_of(breakpoint_)
        # The same one may be there twice, as it was and as it will be: it counts once.
        judged: dict[str | None, bool] = {}
        for id_, rule in rules:
            if rule.session != matching.session:
                continue
            if rule.key in judged and rule.key is not None:
                counts = judged[rule.key]
            else:
                counting = self.breakpoints.counting(place, id_, rule)
                counts = judged[rule.key] = not counting.has_condition or bool(judge(counting))
                if counts and counting.is_logpoint and (text := expression(counting)):
                    self._events.logged(self._debugger, matching, text, frame)
            if counts and not rule.log_message:
                hits.append(id_)
        matching.hits = hits
        return bool(hits)

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
        """See :func:`stagedoor.tracing.stop_on_exception`. The filters of the request's own session decide."""
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
        session = matching.session
        pause = Pause(
            matching.request,
            ident,
            time.monotonic(),
            frame.f_code.co_filename,
            _line(frame, error),
            session,
            matching.number,
            self.sessions.developer(session) if self.sessions is not None else EVERYBODY,
        )
        with self._pausing:
            runs_on = matching.request_itself.runs_on  # since a moment: its session has gone
            if not runs_on and (
                not self.is_full(session, matching)
                or matching.is_job
                or any(each.pause for each in self._others(matching))
            ):
                matching.pause = pause
        if matching.pause is None:
            self._internals.run_thread(thread)
            if not runs_on:
                self.run_past(matching.request, session)
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
                self._report_over(matching)
            else:
                self._threads.run(matching)
            self._listener.resumed(pause, time.monotonic() - pause.since)

    def _others(self, matching: Matching) -> list[Matching]:
        """The other parts of the same request that threads run now."""
        request = matching.request_itself
        return [
            each for each in list(self._matching.values()) if each is not matching and each.request_itself is request
        ]

    def say(self, text: str, matching: Matching | None = None) -> None:
        if matching is None and self.sessions is not None:
            self._listener.say(text.removeprefix("Stagedoor: "))  # to everybody, which only the gatekeeper can
        else:
            super().say(text, matching)

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
