"""Whose a request is, and who may pause one more: two decisions, each with its table."""

from __future__ import annotations

import pytest

from stagedoor.tracing import Sessions
from stagedoor.tracing.sharing import may_pause


@pytest.mark.parametrize(
    ("limit", "paused", "session", "others", "may"),
    [
        (None, {"a": 99}, "a", "ab", True),
        (0, {}, "a", "a", False),
        (1, {}, "a", "ab", True),  # whoever comes first
        (1, {"a": 1}, "b", "ab", False),
        (2, {"a": 1}, "a", "a", True),  # alone
        (2, {"a": 1}, "a", "ab", False),  # the second is ben's
        (2, {"a": 1}, "b", "ab", True),
        (2, {"a": 1, "b": 1}, "a", "ab", False),
        (3, {"a": 1}, "a", "ab", True),
        (3, {"a": 2}, "a", "ab", False),
        (3, {"a": 2}, "b", "ab", True),
        (3, {"a": 1, "b": 1}, "a", "ab", True),  # nobody is without
        (3, {"a": 1, "b": 1}, "a", "abc", False),
        (3, {"a": 1, "b": 1}, "c", "abc", True),
        (2, {"a": 1}, "c", "abc", True),  # too few for all: whoever comes
        (4, {"a": 2, "gone": 1}, "a", "a", True),  # of one that has just left
        (2, {None: 1}, None, "", True),  # without a gatekeeper
        (2, {None: 2}, None, "", False),
    ],
)
def test_nobodys_pauses_leave_another_none(
    limit: int | None, paused: dict[str | None, int], session: str | None, others: str, may: bool
) -> None:
    assert may_pause(limit, paused, session, set(others)) is may


@pytest.mark.parametrize(
    ("owners", "owner", "session"),
    [
        ({}, "203.0.113.7", None),
        ({"anna": "s1"}, "anna", "s1"),
        ({"anna": "s1"}, "ben", None),
        ({"anna": "s1", "*": "s2"}, "ben", None),  # a pass is for its own session and no other
        ({"anna": "s1", "*": "s2"}, "203.0.113.7", "s2"),
        ({"203.0.113.7": "s1", "*": "s2"}, "203.0.113.7", "s1"),
        ({"203.0.113.7": "s1"}, "203.0.113.8", None),
        ({"2001:db8::1": "s1", "*": "s2"}, "2001:db8::1", "s1"),
        ({"*": "s2"}, "2001:db8::1", "s2"),
        ({"*": "s2"}, "fe80::1", "s2"),
        ({"anna": "s1"}, "", None),
        ({"*": "s2"}, "", "s2"),
    ],
)
def test_a_request_has_its_owners_session_else_everybodys(
    owners: dict[str, str], owner: str, session: str | None
) -> None:
    assert Sessions(owners).of(owner) == session


@pytest.mark.parametrize(
    ("owners", "session", "developer"),
    [
        ({"anna": "s1", "*": "s2"}, "s1", "anna"),
        ({"anna": "s1", "*": "s2"}, "s2", "*"),
        # The address that a name has claimed stands there first.
        ({"127.0.0.7": "s1", "anna": "s1"}, "s1", "anna"),
        ({"127.0.0.7": "s1", "*": "s1"}, "s1", "*"),
        ({"127.0.0.7": "s1", "127.0.0.8": "s2"}, "s2", "127.0.0.8"),
        ({"anna": "s1"}, "s2", "*"),
        ({}, None, "*"),
    ],
)
def test_whose_a_session_is(owners: dict[str, str], session: str | None, developer: str) -> None:
    assert Sessions(owners).developer(session) == developer
