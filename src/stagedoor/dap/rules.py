"""The rule in a breakpoint's condition: whose the breakpoint is, and what that developer asked of it.

pydevd hands a breakpoint's ``condition`` to :mod:`stagedoor.tracing` as it was set, on the thread that has come there. So
it carries what the worker has to know: a text that is no Python, which nothing ever evaluates as it stands::

    stagedoor:[{"session":"s1","condition":"total > 3","hitCondition":null,"logMessage":null,"key":"7"}]

A breakpoint in a line has one rule, one in a function as many as there are sessions that have set it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

_MARK = "stagedoor:"


@dataclass(frozen=True, slots=True)
class Rule:
    """What one session asks of one breakpoint, in the words of its ``setBreakpoints``.

    :param session: the session's key.
    :param condition: an expression that has to be true; ``None``: none.
    :param hit_condition: which of the hits counts, such as ``"3"`` or ``"% 2"``; ``None``: each.
    :param log_message: what to write to that session's console instead of stopping; ``None``: it stops.
    :param key: the same text for the same breakpoint when all of a file are set again: what is unchanged keeps its count.
    """

    session: str
    condition: str | None = None
    hit_condition: str | None = None
    log_message: str | None = None
    key: str | None = None


#: The names of a rule's parts on the wire.
_NAMES = {
    "session": "session",
    "condition": "condition",
    "hit_condition": "hitCondition",
    "log_message": "logMessage",
    "key": "key",
}


def encode(*rules: Rule) -> str:
    """The ``condition`` that carries these rules: one line of ASCII."""
    parts = [{_NAMES[name]: value for name, value in asdict(rule).items()} for rule in rules]
    return _MARK + json.dumps(parts, separators=(",", ":"))


def decode(condition: object) -> tuple[Rule, ...] | None:
    """The rules in a breakpoint's ``condition``.

    :return: ``None`` if it is none of ours: a client without a gatekeeper has set it, and pydevd evaluates it. Nothing at
        all, and so nobody's, if it begins like one of ours and can't be read: that is never evaluated.
    """
    if not isinstance(condition, str) or not condition.startswith(_MARK):
        return None
    try:
        parts = json.loads(condition.removeprefix(_MARK))
    except (ValueError, RecursionError):
        return ()
    if not isinstance(parts, list):
        return ()
    rules = [_rule(part) for part in parts]
    return tuple(rule for rule in rules if rule is not None) if None not in rules else ()


def _rule(part: Any) -> Rule | None:
    if not isinstance(part, dict) or set(part) != set(_NAMES.values()) or not isinstance(part["session"], str):
        return None
    if not all(isinstance(value, str | None) for value in part.values()):
        return None
    return Rule(**{name: part[on_the_wire] for name, on_the_wire in _NAMES.items()})
