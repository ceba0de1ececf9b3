"""Steps of which none is left out, whatever happens to another one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable


class Steps:
    """What has to be taken back, in its order.

    A step that raises is tried once more after all others: what interrupts a step (a signal, a peer that was just
    hanging up) rarely does so twice. So a step has to be harmless when it is done again.
    """

    def __init__(self, steps: Iterable[Callable[[], object]] = ()) -> None:
        self._left = deque((step, False) for step in steps)

    @property
    def are_done(self) -> bool:
        return not self._left

    def take(self) -> None:
        """Take all that are left. If a signal's exception comes between two of them, take the rest by another call.

        :raises BaseException: what the first step raised that raised anything, when all have been taken.
        """
        trouble: BaseException | None = None
        while self._left:
            step, is_second_try = self._left[0]
            try:
                step()
            except BaseException as error:
                trouble = trouble or error
                if not is_second_try:
                    self._left.append((step, True))
            self._left.popleft()
        if trouble is not None:
            raise trouble
