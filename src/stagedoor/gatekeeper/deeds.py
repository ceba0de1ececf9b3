"""What one developer runs and changes in the application, in the audit log: the decision is :mod:`stagedoor.dap.deeds`'s."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from stagedoor.access.passes import without_secrets
from stagedoor.console import printable
from stagedoor.dap import deeds
from stagedoor.dap.deeds import Deed

from .reporting import ForwardedAudit
from .requests import DebuggedRequest

#: At most this many records ...
MOST = 20
#: ... in this many seconds. An IDE evaluates by itself what the mouse is over, and what is being typed.
PERIOD = 1.0
#: The longest text, in characters.
LONGEST = 200
#: The longest place: a path may come from the client.
LONGEST_PLACE = 300


class Deeds:
    """Records those of one session.

    :param audit: where.
    :param owner: whose session it is.
    :param who: the same for people.
    :param token: the window's token, which no text may show.
    :param clock: seconds.
    :param later: calls back after so many seconds.
    """

    def __init__(
        self,
        audit: ForwardedAudit,
        owner: str,
        who: str,
        token: Callable[[], str],
        *,
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._audit = audit
        self._owner = owner
        self._who = who
        self._token = token
        self._clock = clock
        self._later = later
        self._times: deque[float] = deque(maxlen=MOST)
        self._unrecorded: Counter[str] = Counter()

    def done(self, command: str, arguments: Mapping[str, Any], request: DebuggedRequest | None) -> None:
        """A request goes on to the debugger of a paused request."""
        for deed in deeds.done(command, arguments):
            self._record(deed, request)

    def jumped(self, path: str, line: int, request: DebuggedRequest | None) -> None:
        """A paused request is sent to another line."""
        self._record(deeds.jumped(path, line), request)

    def instrumented(
        self, path: str | None, entries: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]]
    ) -> None:
        """See :func:`stagedoor.dap.deeds.instrumented`."""
        for deed in deeds.instrumented(path, entries, before):
            self._record(deed)

    def _record(self, deed: Deed, request: DebuggedRequest | None = None) -> None:
        now = self._clock()
        if len(self._times) == MOST and now - self._times[0] < PERIOD:
            if not self._unrecorded:
                self._later(PERIOD, self.tell_unrecorded)
            self._unrecorded[deed.event] += 1
            return
        self._times.append(now)
        label = request.label.split("?")[0] if request is not None else None
        own_place = self._shown(deed.place, LONGEST_PLACE)
        place = self._shown(request.place, LONGEST_PLACE) if request is not None else own_place
        fields: dict[str, Any] = {"developer": self._owner, "place": place}
        sentence = f"{self._who}, at {place}" if label is None else f"{self._who}, in {label} at {place}"
        if label is not None:
            fields |= {"request": label}
            if own_place:
                fields |= {"to": own_place}
                sentence += f", to {own_place}"
        if deed.how:
            fields |= {"how": deed.how}
            sentence += f", {deed.how}"
        if deed.event != deeds.JUMPED and self._audit.texts:
            text = self._shown(deed.text, LONGEST)
            fields |= {"expression": text}
            sentence += f": {text}"
        self._audit.record(deed.event, sentence, **fields)

    def tell_unrecorded(self) -> None:
        """Record how much was left out since the last time."""
        unrecorded, self._unrecorded = self._unrecorded, Counter()
        for event, number in unrecorded.items():
            sentence = f"{number} more by {self._who}: at most {MOST} a second are recorded one by one"
            self._audit.record(event, sentence, developer=self._owner, suppressed=number)

    def _shown(self, text: str, longest: int) -> str:
        # Cut only afterwards: of a token that is cut in two the first half would be no token any more. What is much
        # longer is not looked at.
        text = printable(without_secrets(text[: 10 * longest], self._token()))
        return text if len(text) <= longest else text[: longest - 3] + "..."
