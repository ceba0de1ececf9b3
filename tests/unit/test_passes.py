"""Passes: who holds one, for what, in which window."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.access.passes import can_make_passes, is_pass, is_pass_name, make_passes, name_on
from stagedoor.window.window import is_token, new_token

TOKEN, OTHER_TOKEN = "the-token-of-the-open-window-of-today", "the-token-of-the-window-of-yesterday-x"
ANNA, BEN = make_passes("anna", TOKEN), make_passes("ben", TOKEN)
OLD = make_passes("anna", OTHER_TOKEN)
MAC = ANNA.request.partition(".")[2]


@pytest.mark.parametrize(
    ("presented", "for_request", "for_attach"),
    [
        pytest.param(ANNA.request, True, False, id="the one for requests"),
        pytest.param(ANNA.attach, False, True, id="the one to attach with"),
        pytest.param(BEN.request, True, False, id="another's, for requests"),
        pytest.param(OLD.request, False, False, id="an old window's, for requests"),
        pytest.param(OLD.attach, False, False, id="an old window's, to attach with"),
        pytest.param(f"ben.{MAC}", False, False, id="another name on it"),
        pytest.param(f"annab.{MAC}", False, False, id="a longer name on it"),
        pytest.param(f"anna.{MAC[:-1]}", False, False, id="its beginning"),
        pytest.param(f"anna.{MAC}0", False, False, id="it and a digit"),
        pytest.param(f"anna.{MAC.upper()}", False, False, id="it in upper case"),
        pytest.param(f"Anna.{MAC}", False, False, id="a capital letter"),
        pytest.param(f"anna.{'0' * 64}", False, False, id="a made-up one"),
        pytest.param(f"anna..{MAC}", False, False, id="two dots"),
        pytest.param(f".{MAC}", False, False, id="no name"),
        pytest.param("anna.", False, False, id="the name alone"),
        pytest.param(MAC, False, False, id="no name and no dot"),
        pytest.param(TOKEN, False, False, id="the window's token"),
        pytest.param("", False, False, id="nothing"),
        pytest.param("anna.\ud800", False, False, id="what can't be encoded"),
        pytest.param(f"anna.{MAC}\n", False, False, id="a line end"),
    ],
)
def test_a_pass_is_for_one_purpose_one_name_and_one_window(presented: str, for_request: bool, for_attach: bool) -> None:
    assert is_pass(presented, "request", TOKEN) == for_request
    assert is_pass(presented, "attach", TOKEN) == for_attach


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("anna", True),
        ("a", True),
        ("anna-2", True),
        ("anna_b", True),
        ("a" * 32, True),
        ("a" * 33, False),
        ("", False),
        ("Anna", False),
        ("2anna", False),
        ("-anna", False),
        ("anna.b", False),
        ("anna b", False),
        ("anna\n", False),
        ("änna", False),
        ("203.0.113.7", False),
        ("::1", False),
        ("abcd::1", False),
        ("*", False),
    ],
)
def test_a_name_is_no_address_and_fits_in_a_cookie(name: str, is_one: bool) -> None:
    assert is_pass_name(name) == is_one
    if not is_one:
        with pytest.raises(ValueError, match="no name for a pass"):
            make_passes(name, TOKEN)


@pytest.mark.parametrize(("length", "enough"), [(16, False), (31, False), (32, True), (43, True), (256, True)])
def test_of_a_short_token_no_pass_is_made_or_believed(length: int, enough: bool) -> None:
    token = ("secret-token-" * 20)[:length]
    assert can_make_passes(token) == enough
    if enough:
        assert is_pass(make_passes("anna", token).request, "request", token)
    else:
        with pytest.raises(ValueError, match="at least 32 characters"):
            make_passes("anna", token)
        # As it would be without that check: HMAC fills a key up with zeros itself.
        forged = make_passes("anna", token.ljust(32, "\0")).request
        assert not is_pass(forged, "request", token)


def test_a_token_that_stagedoor_makes_is_long_enough() -> None:
    assert can_make_passes(new_token())


NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
TOKENS = st.from_regex(r"[A-Za-z0-9._~+/=-]{32,80}", fullmatch=True)


@given(NAMES, NAMES, TOKENS, TOKENS)
def test_no_two_passes_are_the_same(one: str, other: str, token: str, other_token: str) -> None:
    made = [(made.request, made.attach) for made in (make_passes(one, token), make_passes(other, other_token))]
    assert len({text for each in made for text in each}) == (2 if (one, token) == (other, other_token) else 4)
    for name, key, (request, attach) in zip((one, other), (token, other_token), made, strict=True):
        assert name_on(request) == name_on(attach) == name
        assert is_pass(request, "request", key)
        assert is_pass(attach, "attach", key)
        assert not is_pass(request, "attach", key)
        assert not is_pass(attach, "request", key)
        # It stands unquoted in a header, a cookie and a JSON document.
        assert re.fullmatch(r"[a-z0-9._-]+", request)
        assert is_token(request)


@given(st.text(), st.text())
def test_nothing_else_is_a_pass(text: str, token: str) -> None:
    assert not is_pass(text, "request", token)
    assert not is_pass(text, "attach", token)


def test_nobody_sees_a_pass_in_a_log() -> None:
    assert repr(ANNA) == "Passes(name='anna')"
