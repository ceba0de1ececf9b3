"""Who is let in: the whole decision as one table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.admission import Refusal, refusal
from stagedoor.allowlist import Allowlist

TOKEN = "the-token-of-the-open-window"
ALLOWLIST = Allowlist("203.0.113.7 2001:db8::/48 127.0.0.2")

ALLOWED, STRANGER, LOOPBACK = "203.0.113.7", "198.51.100.9", "127.0.0.1"
RIGHT, WRONG, NONE = TOKEN, "a-wrong-token", None


def decide(address: str, presented: str | None, *, require_token: bool = False, tunnel: bool = False) -> str:
    """``"in"``, or the code of the refusal."""
    refused = refusal(address, ALLOWLIST, token=TOKEN, presented=presented, require_token=require_token, tunnel=tunnel)
    return "in" if refused is None else refused.code


@pytest.mark.parametrize(
    ("address", "presented", "require_token", "tunnel", "decision"),
    [
        pytest.param(ALLOWED, NONE, False, False, "in", id="an allowed address needs no token"),
        pytest.param(ALLOWED, WRONG, False, False, "in", id="an allowed address may hold a wrong token"),
        pytest.param(ALLOWED, RIGHT, False, False, "in", id="an allowed address with the token"),
        pytest.param(ALLOWED, NONE, True, False, "token", id="an allowed address is not enough with require_token"),
        pytest.param(ALLOWED, WRONG, True, False, "token", id="a wrong token is not enough with require_token"),
        pytest.param(ALLOWED, RIGHT, True, False, "in", id="an allowed address with the token it was asked for"),
        pytest.param(STRANGER, NONE, False, False, "address", id="a stranger"),
        pytest.param(STRANGER, RIGHT, False, False, "address", id="a stranger with the token"),
        pytest.param(STRANGER, RIGHT, True, False, "address", id="a stranger with the token it was not asked for"),
        pytest.param(STRANGER, RIGHT, False, True, "address", id="a stranger with the token at a tunnel's end"),
        pytest.param(LOOPBACK, RIGHT, False, False, "address", id="loopback with the token, but no tunnel ends here"),
        pytest.param(LOOPBACK, RIGHT, True, False, "address", id="loopback, require_token, but no tunnel ends here"),
        pytest.param(LOOPBACK, NONE, False, True, "token", id="a tunnel without a token"),
        pytest.param(LOOPBACK, WRONG, False, True, "token", id="a tunnel with a wrong token"),
        pytest.param(LOOPBACK, RIGHT, False, True, "in", id="a tunnel with the token"),
        pytest.param(LOOPBACK, NONE, True, True, "token", id="a tunnel without a token, and require_token"),
        pytest.param(LOOPBACK, RIGHT, True, True, "in", id="a tunnel with the token, and require_token"),
        pytest.param("::1", RIGHT, False, True, "in", id="a tunnel on IPv6"),
        pytest.param("::ffff:127.0.0.1", RIGHT, False, True, "in", id="a tunnel on a dual-stack socket"),
        pytest.param("127.0.0.2", NONE, False, True, "in", id="an allowed loopback address needs no token"),
        pytest.param("127.0.0.2", NONE, True, True, "token", id="an allowed loopback address, and require_token"),
        pytest.param("::ffff:203.0.113.7", NONE, False, False, "in", id="an allowed IPv4-mapped address"),
        pytest.param("2001:DB8::9", NONE, False, False, "in", id="an allowed IPv6 address"),
        pytest.param("", RIGHT, False, True, "address", id="a blank address"),
        pytest.param("localhost", RIGHT, False, True, "address", id="a name of loopback"),
        pytest.param("203.0.113.7%1", RIGHT, False, True, "address", id="an allowed address with a zone id"),
        pytest.param(ALLOWED, "", True, False, "token", id="an empty token"),
        pytest.param(ALLOWED, TOKEN[:-1], True, False, "token", id="the beginning of the token"),
        pytest.param(ALLOWED, f"{TOKEN} ", True, False, "token", id="the token and a blank"),
        pytest.param(ALLOWED, TOKEN.upper(), True, False, "token", id="the token in upper case"),
        pytest.param(ALLOWED, "tök\u20acn", True, False, "token", id="a token that is not ASCII"),
        pytest.param(ALLOWED, "\ud800", True, False, "token", id="a token that can't be encoded"),
    ],
)
def test_decides(address: str, presented: str | None, require_token: bool, tunnel: bool, decision: str) -> None:
    assert decide(address, presented, require_token=require_token, tunnel=tunnel) == decision


@pytest.mark.parametrize(
    ("address", "presented", "sentence"),
    [
        (STRANGER, NONE, f"{STRANGER} is not on the allowlist; allowed: {ALLOWLIST}"),
        (STRANGER, RIGHT, f"{STRANGER} is not on the allowlist; allowed: {ALLOWLIST}"),
        (ALLOWED, NONE, f"{ALLOWED} is allowed, but it presented no token; require_token is on"),
        (ALLOWED, WRONG, f"{ALLOWED} is allowed, but it presented a wrong token; require_token is on"),
        (LOOPBACK, NONE, f"{LOOPBACK} is not on the allowlist, and it presented no token; allowed: {ALLOWLIST}"),
        (LOOPBACK, WRONG, f"{LOOPBACK} is not on the allowlist, and it presented a wrong token; allowed: {ALLOWLIST}"),
    ],
)
def test_says_who_was_refused_and_why(address: str, presented: str | None, sentence: str) -> None:
    refused = refusal(address, ALLOWLIST, token=TOKEN, presented=presented, require_token=True, tunnel=True)
    assert isinstance(refused, Refusal)
    assert refused.sentence == sentence


@pytest.mark.parametrize("require_token", [False, True])
@pytest.mark.parametrize("tunnel", [False, True])
def test_no_sentence_holds_a_token(require_token: bool, tunnel: bool) -> None:
    for address in (ALLOWED, STRANGER, LOOPBACK):
        for presented in (RIGHT, WRONG):
            refused = refusal(
                address, ALLOWLIST, token=TOKEN, presented=presented, require_token=require_token, tunnel=tunnel
            )
            assert refused is None or (TOKEN not in refused.sentence and WRONG not in refused.sentence)


ADDRESSES = st.sampled_from([ALLOWED, STRANGER, LOOPBACK, "::1", "", "unknown"]) | st.text()


@given(ADDRESSES, st.sampled_from([NONE, RIGHT, WRONG, "\ud800"]) | st.text(), st.booleans(), st.booleans())
def test_nobody_gets_in_without_an_allowed_address_or_the_token(
    address: str, presented: str | None, require_token: bool, tunnel: bool
) -> None:
    decision = decide(address, presented, require_token=require_token, tunnel=tunnel)
    assert (decision == "in") <= (presented == TOKEN or (address in ALLOWLIST and not require_token))
    assert decision in {"in", "address", "token"}
