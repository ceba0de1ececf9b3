"""What has happened to the window: recorded once, whichever of the processes of an application sees it first."""

from __future__ import annotations

import logging

from stagedoor.audit import Audit
from stagedoor.control.register import Register
from stagedoor.errors import SwitchError
from stagedoor.window.document import shown
from stagedoor.window.lifetime import Deadline
from stagedoor.window.window import Window, format_time


class History:
    """What one process has seen happen to the windows of a switch.

    :param audit: where it is recorded.
    :param register: what all processes of all applications with this switch know of the window; ``None`` where this is
        the only one.
    :param switch: the switch's name, for people.
    """

    def __init__(self, audit: Audit, register: Register | None, switch: str) -> None:
        self._audit = audit
        self._register = register
        self._switch = switch
        #: Why the open window is not this application's, a sentence, if it is not.
        self._refused: str | None = None
        #: The token of the window that this process itself has entered into the register.
        self._entered: str | None = None

    def forget_in_child(self) -> None:
        """In a forked child, which has entered nothing itself."""
        self._entered = None

    def record(self, before: Deadline | None, after: Deadline | None, *, is_believed: bool) -> Deadline | None:
        """Record what happened to the window, unless another process has. Returns ``after``, or ``None`` if that is
        another application's window.
        """
        old = before.window if before is not None else None
        new = after.window if after is not None else None
        if before is not None and (new is None or new.token != before.window.token):
            self._record_end(before, is_believed=is_believed)
        if new is None:
            self._refused = None
        elif old is None or new.token != old.token or self._is_to_enter(new):
            event = self._enter(new)
            if self._refused is not None:
                return None
            self._record_begin(event, new)
        elif new.expires_at != old.expires_at:
            self._record_begin("extended" if self._register is None or self._register.moved(new) else None, new)
        return after

    def _is_to_enter(self, window: Window) -> bool:
        """Whether this process, which was forked while the window was open, has still to say that it has seen it."""
        return self._register is not None and self._entered != window.token

    def _enter(self, window: Window) -> str | None:
        """What is to be recorded of a window that this process has not known."""
        before, self._refused = self._refused, None
        try:
            event = self._register.enter(window) if self._register is not None else "opened"
            self._entered = window.token
            return event
        except Exception as error:  # Fail closed, whatever it is.
            self._refused = str(error) if isinstance(error, SwitchError) else f"{type(error).__name__}: {error}."
        if self._refused != before:
            self._audit.record(
                "refused", self._refused, level=logging.WARNING, reason="application", switch=self._switch
            )
        return None

    def _record_begin(self, event: str | None, window: Window) -> None:
        end = format_time(window.expires_at)
        if event == "opened":
            sentence = f"a window until {end}, opened by {window.opened_by}"
        else:
            sentence = f"the window opened by {window.opened_by} now ends at {end}"
        if event is not None:
            self._audit.record(event, sentence, level=logging.WARNING, **shown(window))

    def _record_end(self, deadline: Deadline, *, is_believed: bool) -> None:
        window = deadline.window
        if self._register is None or self._register.leave(window, is_over=is_believed):
            is_expired = deadline.ended().is_expired
            event, how = ("expired", "reached its end") if is_expired else ("closed", "was closed")
            self._audit.record(event, f"the window opened by {window.opened_by} {how}", **shown(window))
