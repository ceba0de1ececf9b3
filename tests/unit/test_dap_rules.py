"""The rule in a breakpoint's condition: what is put in comes out, and nothing that can't be read is anybody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.dap.rules import Rule, decode, encode

texts = st.text(st.characters())
maybe = st.none() | texts
rules = st.builds(Rule, texts, maybe, maybe, maybe, maybe)


@given(st.lists(rules, max_size=4))
def test_what_is_put_in_comes_out(given_rules: list[Rule]) -> None:
    assert decode(encode(*given_rules)) == tuple(given_rules)


@given(st.lists(rules, max_size=4))
def test_it_is_one_line_of_ascii_and_no_python(given_rules: list[Rule]) -> None:
    condition = encode(*given_rules)
    assert condition.isascii()
    assert condition.isprintable()
    assert condition == condition.strip()  # pydevd takes off what stands around it
    # As pydevd would evaluate it, were it ever to: "stagedoor" with an annotation is a statement.
    with pytest.raises(SyntaxError):
        compile(condition, "<condition>", "eval")


@pytest.mark.parametrize("condition", [None, "", "x > 3", "stagedoor", " stagedoor:[]", 3, ["stagedoor:[]"]])
def test_what_is_none_of_ours_is_pydevds(condition: object) -> None:
    assert decode(condition) is None


@pytest.mark.parametrize(
    "condition",
    [
        "stagedoor:",
        "stagedoor:x > 3",
        'stagedoor:{"session":"s1"}',
        'stagedoor:["s1"]',
        'stagedoor:[{"session":"s1"}]',
        encode(Rule("s1", "x")).replace('"s1"', "1"),
        encode(Rule("s1", "x")).replace('"x"', "[1]"),
        encode(Rule("s1", "x")).replace('"key"', '"other"'),
        # One that can be read does not make the text one to be trusted.
        encode(Rule("s1"), Rule("s2")).replace('"s2"', "null"),
        "stagedoor:" + "[" * 100_000,
    ],
)
def test_what_begins_like_ours_and_cant_be_read_is_nobodys(condition: str) -> None:
    assert decode(condition) == ()


def test_a_developer_who_writes_a_rule_writes_an_expression_that_is_wrong() -> None:
    """Each condition of a client's is put into a rule, so that one of its own is never taken for one of ours."""
    forged = encode(Rule("s2", "print()"))
    assert decode(encode(Rule("s1", forged))) == (Rule("s1", forged),)
