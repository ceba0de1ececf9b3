"""The breakpoints of all sessions, merged for the workers: pure, without a connection.

Each worker gets all sessions' breakpoints of a file, each with the rule that says whose it is
(:mod:`stagedoor.dap.rules`). What a worker has answered is kept beside each, so that a developer's IDE is told the truth:
whether any worker has the breakpoint, and on which line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stagedoor.dap import rules

#: What a breakpoint's message says before a worker has confirmed it.
WAITS = "Waits for the first of your requests."


@dataclass(slots=True, frozen=True)
class Confirmed:
    """What a worker says of a breakpoint.

    :param inner: its id there.
    :param line: where it has it; ``None`` where it does not say.
    """

    inner: int
    verified: bool
    line: int | None
    message: str | None


@dataclass(eq=False, slots=True)
class Breakpoint:
    """One breakpoint of one session.

    :param session: the session's key.
    :param id: its number in the session.
    :param entry: what the client asked for: ``line`` or ``name``, ``condition``, ``hitCondition``, ``logMessage``.
    :param path: its file on this server; ``None`` for one on a function.
    :param source: its file as the client names it.
    """

    session: str
    id: int
    entry: dict[str, Any]
    path: str | None = None
    source: dict[str, Any] | None = None
    #: Why it can't be had on this server, if that is known without a worker.
    trouble: str | None = None
    #: Whether its client has been told of it.
    is_known: bool = False
    #: By worker.
    confirmed: dict[str, Confirmed] = field(default_factory=dict)

    def rule(self) -> rules.Rule:
        wanted = {name: self.entry.get(name) for name in ("condition", "hitCondition", "logMessage")}
        key = json.dumps([self.entry.get("line"), self.entry.get("name"), *wanted.values()])
        return rules.Rule(
            self.session,
            condition=wanted["condition"],
            hit_condition=wanted["hitCondition"],
            log_message=wanted["logMessage"],
            key=key,
        )

    def told(self) -> dict[str, Any]:
        """What its client is told of it: a ``Breakpoint`` of DAP's."""
        said: dict[str, Any] = {"id": self.id, "verified": False}
        if self.source is not None:
            said["source"] = self.source
        if "line" in self.entry:
            said["line"] = self.entry["line"]
        answers = sorted(self.confirmed.items())
        best = next((answer for _, answer in answers if answer.verified), None)
        best = best or next((answer for _, answer in answers), None)
        if self.trouble is not None:
            return said | {"message": self.trouble}
        if best is None:
            return said | {"message": WAITS}
        if best.line is not None and "line" in said:
            said["line"] = best.line
        if best.verified:
            return said | {"verified": True}
        return said | ({"message": best.message} if best.message else {})


def missing(path: str, client_path: str, *, is_mapped: bool) -> str | None:
    """Why a breakpoint's file can't be had here, sentences, or ``None``.

    :param path: the file on this server.
    :param client_path: the same as the client names it.
    """
    try:
        if os.path.isabs(path) and os.path.exists(path):
            return None
    except ValueError:  # No file can have that name.
        pass
    look = "Check remoteRoot in pathMappings of your launch configuration."
    if not is_mapped:
        look = f"No entry of pathMappings is about {client_path}. {look}"
    return f"There is no {path} on this server. {look}"


def for_worker(found: Iterable[Breakpoint]) -> list[dict[str, Any]]:
    """The entries of ``setBreakpoints`` for one file, in this order."""
    entries = []
    for each in found:
        entry = {name: each.entry[name] for name in ("line", "column") if name in each.entry}
        entries.append(entry | {"condition": rules.encode(each.rule())})
    return entries


def functions_for_worker(found: Iterable[Breakpoint]) -> tuple[list[dict[str, Any]], list[list[Breakpoint]]]:
    """The entries of ``setFunctionBreakpoints``, of which pydevd has one a name, and whose each of them is."""
    by_name: dict[str, list[Breakpoint]] = {}
    for each in found:
        by_name.setdefault(str(each.entry.get("name")), []).append(each)
    entries = [
        {"name": name, "condition": rules.encode(*(each.rule() for each in whose))} for name, whose in by_name.items()
    ]
    return entries, list(by_name.values())


def take(worker: str, each: Breakpoint, answer: Mapping[str, Any]) -> bool:
    """Take over what a worker says of one breakpoint; returns whether its client has something to learn."""
    before = each.told()
    line, message = answer.get("line"), answer.get("message")
    each.confirmed[worker] = Confirmed(
        int(answer.get("id") or 0),
        bool(answer.get("verified")),
        line if isinstance(line, int) else None,
        message if isinstance(message, str) else None,
    )
    return each.told() != before


def forget(worker: str, found: Iterable[Breakpoint]) -> list[Breakpoint]:
    """A worker has gone; returns those whose client has something to learn."""
    changed = []
    for each in found:
        before = each.told()
        if each.confirmed.pop(worker, None) is not None and each.told() != before:
            changed.append(each)
    return changed
