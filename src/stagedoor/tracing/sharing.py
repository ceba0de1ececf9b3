"""How the pauses that may be at the same time are shared between the developers."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def may_pause(
    limit: int | None, paused: Mapping[str | None, int], session: str | None, others: Collection[str]
) -> bool:
    """Whether one more request may be paused for ``session``.

    A pure function. Whoever has none paused gets a free place. Whoever has some gets one only if one is left after it for
    each of the others that have none: so nobody's pauses leave another none, as long as there are enough for all.

    :param limit: how many may be paused at the same time; ``None``: as many as come.
    :param paused: how many are, by session.
    :param others: all sessions that are attached; it does not matter whether ``session`` is one of these.
    """
    if limit is None:
        return True
    free = limit - sum(paused.values())
    if not paused.get(session):
        return free > 0
    without = sum(1 for other in set(others) if other != session and not paused.get(other))
    return free > without
