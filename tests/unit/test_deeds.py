"""What is recorded of what a developer does, and in which words: never a value, never a token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from stagedoor.access.passes import make_passes, without_secrets
from stagedoor.audit import Audit
from stagedoor.dap.commands import COMMANDS
from stagedoor.dap.deeds import READ, Deed, done, instrumented, jumped
from stagedoor.gatekeeper.deeds import LONGEST, MOST, PERIOD, Deeds
from support.clock import SettableClock

TOKEN = "vN3xQ8-kPz0aWmE5_tYb7RcJ2hGfLsDu4oiX6eKqVnA"


def changed(text: str, how: str = "console") -> Deed:
    return Deed("changed", text, how)


def evaluated(text: str, how: str = "console") -> Deed:
    return Deed("evaluated", text, how)


def typed(code: str) -> tuple[Deed, ...]:
    return done("evaluate", {"expression": code, "context": "repl", "frameId": 1})


# -- The decision ------------------------------------------------------------------------------------------------------

IN_THE_CONSOLE: list[tuple[str, tuple[Deed, ...]]] = [
    ("total", (evaluated("total"),)),
    ("  total > 3  # why?", (evaluated("  total > 3  # why?"),)),
    ("total == 3", (evaluated("total == 3"),)),
    ("pay(amount=3)", (evaluated("pay(amount=3)"),)),
    ("total = 'secret'", (changed("total"),)),
    ("  total = 'secret'", (changed("total"),)),
    ("total += 3", (changed("total"),)),
    ("total: int = 3", (changed("total"),)),
    ("user.card['number'] = 'secret'", (changed("user.card['number']"),)),
    ("a, (b, *c) = 1, 'secret'", (changed("a, b, c"),)),
    ("a = b = 'secret'", (changed("a, b"),)),
    ("a = (b := 'secret')", (changed("a, b"),)),
    ("del user.card", (changed("user.card"),)),
    ("pay(total := 'secret')", (changed("total"), evaluated("pay((total := ...))"))),
    ("cards[(key := 'secret')] = 1", (changed("cards[(key := ...)], key"),)),
    ("a = 'secret'; pay(a)", (changed("a"), evaluated("pay(a)"))),
    ("if total:\n    a = 'secret'\n    pay(a)", (changed("a"), evaluated("if total:\n    a = ...\n    pay(a)"))),
    ("import os", (evaluated("import os"),)),
    # It may be an assignment with a value in it.
    ("password = 'secret", (evaluated(""),)),
    ("total = 3 +", (evaluated(""),)),
    ("-" * (READ + 1), (evaluated(""),)),
    ("(" * READ, (evaluated(""),)),
    ("-" * (READ - 1) + "1", (evaluated(""),)),
    ("a\0b", (evaluated(""),)),
    ("", (evaluated(""),)),
]


@pytest.mark.parametrize(("code", "expected"), IN_THE_CONSOLE, ids=[code[:40] for code, _ in IN_THE_CONSOLE])
def test_of_an_assignment_the_target_of_all_else_the_code(code: str, expected: tuple[Deed, ...]) -> None:
    found = typed(code)
    if code.startswith("-"):  # Whether so much is read depends on Python; a text it has or none.
        found = tuple(Deed(each.event, "", each.how) for each in found)
    assert found == expected
    assert not any("secret" in deed.text for deed in found)


TABLE: list[tuple[str, dict[str, Any], tuple[Deed, ...]]] = [
    ("evaluate", {"expression": "a", "context": "watch"}, (evaluated("a", "watch"),)),
    ("evaluate", {"expression": "a", "context": "hover"}, (evaluated("a", "hover"),)),
    ("evaluate", {"expression": "a", "context": "clipboard"}, (evaluated("a", "clipboard"),)),
    ("evaluate", {"expression": "a", "context": "a secret"}, (evaluated("a", "other"),)),
    ("evaluate", {"expression": "a", "context": ["repl"]}, (evaluated("a", "other"),)),
    ("evaluate", {"expression": 7}, (evaluated("", "other"),)),
    ("completions", {"text": "user.na", "column": 8}, (evaluated("user.na", "completions"),)),
    ("completions", {"text": "pay(user.na)", "column": 12}, (evaluated("user.na", "completions"),)),
    ("completions", {"text": "a\nb.c\nd", "line": 2, "column": 4}, (evaluated("b.c", "completions"),)),
    ("completions", {"text": "password = 'secret ", "column": 20}, (evaluated("", "completions"),)),
    ("completions", {"text": ["a"], "column": "x", "line": 0}, (evaluated("", "completions"),)),
    ("setVariable", {"name": "total", "value": "'secret'"}, (changed("total", "variables"),)),
    ("setExpression", {"expression": "user.name", "value": "'secret'"}, (changed("user.name", "watch"),)),
    ("stackTrace", {"threadId": 1}, ()),
    ("scopes", {"frameId": 1}, ()),
    ("variables", {"variablesReference": 1}, ()),
    ("continue", {"threadId": 1}, ()),
    ("next", {"threadId": 1}, ()),
    ("pause", {"threadId": 1}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("command", "arguments", "expected"), TABLE)
def test_the_decision(command: str, arguments: dict[str, Any], expected: tuple[Deed, ...]) -> None:
    assert done(command, arguments) == expected


def test_every_command_that_goes_on_to_a_debugger_is_looking_or_in_the_table() -> None:
    looking = {"stackTrace", "scopes", "variables", "exceptionInfo", "stepInTargets"}
    moving = {"continue", "next", "stepIn", "stepOut", "pause"}
    assert {row.command for row in COMMANDS.values() if row.goes_on} - looking - moving == {
        *(command for command, _, expected in TABLE if expected),
        "goto",
    }


def test_a_jump_says_where_to() -> None:
    assert jumped("/srv/shop.py", 12) == Deed("jumped", place="/srv/shop.py:12")


def test_instruments_are_told_when_they_are_new() -> None:
    entries = [
        {"line": 1},
        {"line": 2, "condition": "total > 3"},
        {"line": 3, "hitCondition": "5", "logMessage": "{total}"},
        {"line": 4, "condition": ""},
    ]
    first = (
        Deed("instrumented", "total > 3", "condition", "/shop.py:2"),
        Deed("instrumented", "5", "hit count", "/shop.py:3"),
        Deed("instrumented", "{total}", "log message", "/shop.py:3"),
    )
    assert instrumented("/shop.py", entries, []) == first
    assert instrumented("/shop.py", entries, entries) == ()
    other = [*entries, {"line": 2, "condition": "total > 4"}]
    assert instrumented("/shop.py", other, entries) == (Deed("instrumented", "total > 4", "condition", "/shop.py:2"),)
    assert instrumented("/shop.py", [], entries) == ()
    assert instrumented(None, [{"name": "pay", "condition": "a"}], []) == (
        Deed("instrumented", "a", "condition", "pay"),
    )


# -- The words ---------------------------------------------------------------------------------------------------------


class Recorded(Audit):
    """Keeps what it is given, and calls back when the test says so."""

    def __init__(self, *, texts: bool = True) -> None:
        super().__init__()
        self.texts = texts
        self.records: list[tuple[str, str, dict[str, Any]]] = []
        self.due: list[Callable[[], None]] = []
        self.clock = SettableClock()

    def record(self, event: str, sentence: str, *, level: int = 20, **fields: Any) -> None:
        self.records.append((event, sentence, fields))

    def deeds(self) -> Deeds:
        return Deeds(
            self,
            "anna",
            "anna",
            lambda: TOKEN,
            clock=self.clock.monotonic,
            later=lambda seconds, call: self.due.append(call),
        )


def test_a_text_is_one_printable_line_of_at_most_200_characters() -> None:
    audit = Recorded()
    audit.deeds().instrumented("/shop\n.py", [{"line": 1, "logMessage": "a\x1b[31m\n" + "x" * 500}], [])
    [(event, sentence, fields)] = audit.records
    assert event == "instrumented"
    assert sentence.startswith("anna, at /shop\\n.py:1, log message: a\\x1b[31m\\nxxx")
    assert len(fields["expression"]) == LONGEST
    assert fields["expression"].isprintable()
    assert fields["developer"] == "anna"
    assert fields["place"] == "/shop\\n.py:1"


def test_without_texts_only_who_did_what_where() -> None:
    audit = Recorded(texts=False)
    audit.deeds().instrumented("/shop.py", [{"line": 1, "condition": "total > 3"}], [])
    [(_, sentence, fields)] = audit.records
    assert sentence == "anna, at /shop.py:1, condition"
    assert fields == {"developer": "anna", "place": "/shop.py:1", "how": "condition"}


PASSES = make_passes("anna", TOKEN)
SECRETS = [
    TOKEN,
    TOKEN[:-1],
    TOKEN[1:],
    PASSES.request,
    PASSES.attach,
    PASSES.attach[:-1],
    PASSES.attach.partition(".")[2],
    PASSES.attach.partition(".")[2][3:-3],
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("text", ["{}", "token == '{}'", "x" * (LONGEST - 20) + " {}", "{0}{0}"], ids=str)
def test_no_text_has_a_token_or_a_pass(secret: str, text: str) -> None:
    audit = Recorded()
    audit.deeds().instrumented("/shop.py", [{"line": 1, "condition": text.format(secret)}], [])
    [(_, sentence, fields)] = audit.records
    for shown in (sentence, fields["expression"]):
        assert "***" in shown
        assert not any(secret[start : start + 8] in shown for start in range(len(secret) - 7))


def test_a_token_that_is_typed_letter_by_letter_is_not_there_either() -> None:
    for end in range(8, len(TOKEN)):
        assert TOKEN[:8] not in without_secrets(f"print({TOKEN[:end]}", TOKEN)


@pytest.mark.parametrize("text", ["total > 3", "user.deadbeef", "shop.checkout.total", "", "***", "0x1234abcd"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert without_secrets(text, TOKEN) == (text if text != "user.deadbeef" else "***")


def test_at_most_so_many_a_second_and_how_many_more_there_were() -> None:
    audit = Recorded()
    deeds = audit.deeds()
    for number in range(3 * MOST):
        deeds.instrumented("/shop.py", [{"line": number, "condition": "a"}], [])
    deeds.jumped("/shop.py", 3, None)
    assert len(audit.records) == MOST
    [tell] = audit.due
    audit.clock.pass_time(timedelta(seconds=PERIOD))
    tell()
    assert audit.records[MOST:] == [
        ("instrumented", f"{2 * MOST} more by anna: at most {MOST} a second are recorded one by one",
         {"developer": "anna", "suppressed": 2 * MOST}),
        ("jumped", f"1 more by anna: at most {MOST} a second are recorded one by one",
         {"developer": "anna", "suppressed": 1}),
    ]  # fmt: skip
    deeds.tell_unrecorded()
    assert len(audit.records) == MOST + 2
    deeds.jumped("/shop.py", 3, None)
    assert len(audit.records) == MOST + 3


def test_never_more_than_so_many_in_any_second() -> None:
    audit = Recorded()
    deeds, times = audit.deeds(), []
    for number in range(1000):
        before = len(audit.records)
        deeds.instrumented("/shop.py", [{"line": number, "condition": "a"}], [])
        if len(audit.records) > before:
            times.append(audit.clock.monotonic())
        audit.clock.pass_time(timedelta(milliseconds=10))
    assert len(times) > 5 * MOST
    assert all(later - sooner >= PERIOD for sooner, later in zip(times, times[MOST:], strict=False))
