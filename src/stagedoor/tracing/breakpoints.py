"""Whose breakpoints a line has, and which of them count for the thread that is there.

pydevd keeps one breakpoint a line, and asks for its condition. A gatekeeper sets one for each session that has one there,
each with a rule for its condition (:mod:`stagedoor.dap.rules`): all of a line are found here, and those of the calling
thread's session are judged, each by pydevd itself with a breakpoint of its own, which counts that session's hits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stagedoor.dap.rules import Rule, decode

#: Makes pydevd's own breakpoint of a rule, which is set nowhere.
Make = Callable[[int, Rule], Any]


class Breakpoints:
    """The breakpoints that have rules.

    Written by the thread that reads the client's requests, read by all that serve requests: what is read is replaced whole.

    :param make: makes what counts and judges for one rule.
    """

    def __init__(self, make: Make) -> None:
        self._make = make
        self._lines: dict[str, dict[int, tuple[tuple[int, Rule], ...]]] = {}
        #: By session, place and key: the rule, and what counts for it.
        self._counting: dict[tuple[str, str, str | None], tuple[Rule, Any]] = {}

    def set_in(self, file: str, breakpoints: Mapping[int, Any]) -> None:
        """The breakpoints of ``file`` are these, by id."""
        lines: dict[int, list[tuple[int, Rule]]] = {}
        for id_, each in list(breakpoints.items()):
            rules = decode(each.condition)
            if rules is not None:
                each.stagedoor_file = file
                lines.setdefault(each.line, []).extend((id_, rule) for rule in rules)
        self._lines[file] = {line: tuple(found) for line, found in lines.items()}

    def rules_at(self, breakpoint_: Any) -> tuple[tuple[int, Rule], ...] | None:
        """The rules where ``breakpoint_`` is, each with its breakpoint's id; ``None`` if it has none of ours."""
        rules = decode(breakpoint_.condition)
        if rules is None:
            return None
        file = getattr(breakpoint_, "stagedoor_file", None)
        if file is None:  # On a function: all of them are in one.
            return tuple((breakpoint_.breakpoint_id, rule) for rule in rules)
        # Not those of the object, which may be one that has been replaced.
        return self._lines.get(file, {}).get(breakpoint_.line, ())

    def counting(self, place: str, id_: int, rule: Rule) -> Any:
        """What counts and judges for ``rule``."""
        key = (rule.session, place, rule.key)
        found = self._counting.get(key)
        if found is None or found[0] != rule:
            made = rule, self._make(id_, rule)
            if found is not None:
                self._counting[key] = made
            # Two threads may come here at once: both go on with the one that was first.
            found = self._counting.setdefault(key, made)
        return found[1]

    @staticmethod
    def place_of(breakpoint_: Any) -> str:
        """Where ``breakpoint_`` is: its file, or its function."""
        file = getattr(breakpoint_, "stagedoor_file", None)
        return f"file {file}" if file is not None else f"function {breakpoint_.func_name}"

    def forget_counts(self, place: str, keys: set[tuple[str, str | None]]) -> None:
        """Forget the hits of all that were at ``place`` but those with these sessions and keys."""
        for key in list(self._counting):
            if key[1] == place and (key[0], key[2]) not in keys:
                self._counting.pop(key, None)

    def keys_in(self, file: str) -> set[tuple[str, str | None]]:
        """Sessions and keys of the rules in ``file``."""
        return {(rule.session, rule.key) for found in self._lines.get(file, {}).values() for _, rule in found}

    @property
    def files(self) -> list[str]:
        return list(self._lines)

    def forget_session(self, session: str) -> None:
        """Forget its hits."""
        for key in list(self._counting):
            if key[0] == session:
                self._counting.pop(key, None)
