"""Who is let in: the whole decision as one table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.access.addresses import is_loopback
from stagedoor.access.allowlist import Allowlist
from stagedoor.access.decision import UNIX_PEER, Refusal, best_of, refusal

TOKEN = "the-token-of-the-open-window"
ALLOWLIST = Allowlist("203.0.113.7 2001:db8::/48 127.0.0.2")

ALLOWED, STRANGER, LOOPBACK = "203.0.113.7", "198.51.100.9", "127.0.0.1"
RIGHT, WRONG, NONE = TOKEN, "a-wrong-token", None


PORT, REQUEST = True, False


def decide(address: str, presented: str | None, *, require_token: bool = False, at_port: bool = False) -> str:
    """``"in"``, or the code of the refusal."""
    refused = refusal(
        address, ALLOWLIST, token=TOKEN, presented=presented, require_token=require_token, at_port=at_port
    )
    return "in" if refused is None else refused.code


@pytest.mark.parametrize(
    ("address", "presented", "require_token", "at_port", "decision"),
    [
        # The same for a request and at the debug port.
        *[
            pytest.param(address, presented, require_token, at_port, decision, id=f"{what}, {where}")
            for where, at_port in (("a request", REQUEST), ("at the port", PORT))
            for address, presented, require_token, decision, what in [
                (ALLOWED, NONE, False, "in", "an allowed address needs no token"),
                (ALLOWED, WRONG, False, "in", "an allowed address may hold a wrong token"),
                (ALLOWED, RIGHT, False, "in", "an allowed address with the token"),
                (ALLOWED, NONE, True, "token", "an allowed address is not enough with require_token"),
                (ALLOWED, WRONG, True, "token", "a wrong token is not enough with require_token"),
                (ALLOWED, RIGHT, True, "in", "an allowed address with the token it was asked for"),
                (STRANGER, NONE, False, "address", "a stranger"),
                (STRANGER, RIGHT, False, "address", "a stranger with the token"),
                (STRANGER, RIGHT, True, "address", "a stranger with the token it was not asked for"),
                ("::ffff:203.0.113.7", NONE, False, "in", "an allowed IPv4-mapped address"),
                ("2001:DB8::9", NONE, False, "in", "an allowed IPv6 address"),
                ("", RIGHT, False, "address", "a blank address"),
                ("localhost", RIGHT, False, "address", "a name of loopback"),
                ("127.0.0.2%1", RIGHT, False, "address", "a loopback address with a zone id"),
                ("203.0.113.7%1", RIGHT, False, "address", "an allowed address with a zone id"),
                (ALLOWED, "", True, "token", "an empty token"),
                (ALLOWED, '""', True, "token", "an empty token in quotes"),
                (ALLOWED, TOKEN[:-1], True, "token", "the beginning of the token"),
                (ALLOWED, f"{TOKEN}x", True, "token", "the token and a letter"),
                (ALLOWED, f"{TOKEN[:4]} {TOKEN[4:]}", True, "token", "the token and a blank inside"),
                (ALLOWED, f'"{TOKEN}', True, "token", "the token and one quote"),
                (ALLOWED, f"{TOKEN} ", True, "in", "the token and a blank"),
                (ALLOWED, f"\t{TOKEN}\r\n", True, "in", "the token with a tab and a line end"),
                (ALLOWED, f'"{TOKEN}"', True, "in", "the token in quotes"),
                (
                    ALLOWED,
                    f" ' {TOKEN}\n' ",
                    True,
                    "in",
                    "the token in single quotes, and blanks on both sides of them",
                ),
                (ALLOWED, TOKEN.upper(), True, "token", "the token in upper case"),
                (ALLOWED, "tök\u20acn", True, "token", "a token that is not ASCII"),
                (ALLOWED, "\ud800", True, "token", "a token that can't be encoded"),
            ]
        ],
        # At the debug port a loopback or Unix peer is any user of this server, or the end of a tunnel.
        *[
            pytest.param(address, presented, require_token, PORT, decision, id=f"{address}, {what}, {require_token}")
            for address in (LOOPBACK, "127.0.0.2", "::1", "::ffff:127.0.0.1", "::ffff:7f00:2", UNIX_PEER)
            for require_token in (False, True)
            for presented, decision, what in [
                (NONE, "token", "no token"),
                (WRONG, "token", "a wrong token"),
                ("", "token", "an empty token"),
                (RIGHT, "in", "the token"),
                (f"{TOKEN} \n", "in", "the token and a line end"),
            ]
        ],
        # In a request it is an address as any other.
        pytest.param("127.0.0.2", NONE, False, REQUEST, "in", id="a request from an allowed loopback address"),
        pytest.param("127.0.0.2", NONE, True, REQUEST, "token", id="the same, and require_token"),
        pytest.param("127.0.0.2", RIGHT, True, REQUEST, "in", id="the same with the token"),
        pytest.param(LOOPBACK, RIGHT, False, REQUEST, "address", id="a request from loopback with the token"),
        pytest.param(LOOPBACK, RIGHT, True, REQUEST, "address", id="the same, and require_token"),
        pytest.param(UNIX_PEER, RIGHT, False, REQUEST, "address", id="a request that calls itself a Unix peer"),
    ],
)
def test_decides(address: str, presented: str | None, require_token: bool, at_port: bool, decision: str) -> None:
    assert decide(address, presented, require_token=require_token, at_port=at_port) == decision


@pytest.mark.parametrize(
    ("address", "presented", "at_port", "decision"),
    [
        pytest.param(ALLOWED, NONE, PORT, "token", id="an allowed address"),
        pytest.param(ALLOWED, WRONG, PORT, "token", id="an allowed address with a wrong token"),
        pytest.param(ALLOWED, RIGHT, PORT, "in", id="an allowed address with the token"),
        pytest.param(STRANGER, NONE, PORT, "token", id="an address that is not allowed"),
        pytest.param(STRANGER, RIGHT, PORT, "in", id="an address that is not allowed, with the token"),
        pytest.param(ALLOWED, NONE, REQUEST, "in", id="a request from an allowed address"),
        pytest.param(STRANGER, RIGHT, REQUEST, "address", id="a request from one that is not"),
    ],
)
def test_decides_on_a_peer_from_one_of_the_servers_own_addresses(
    address: str, presented: str | None, at_port: bool, decision: str
) -> None:
    refused = refusal(
        address, ALLOWLIST, token=TOKEN, presented=presented, require_token=False, at_port=at_port, is_own=True
    )
    assert ("in" if refused is None else refused.code) == decision
    if decision == "token" and presented is NONE:
        assert refused is not None
        assert "the window's is needed from the server's own addresses" in refused.sentence


NOT_LISTED = f"{STRANGER} is not on the allowlist; allowed: {ALLOWLIST}"
EXPECTED = len(TOKEN)


@pytest.mark.parametrize(
    ("address", "presented", "at_port", "sentence"),
    [
        (STRANGER, NONE, REQUEST, NOT_LISTED),
        (STRANGER, RIGHT, PORT, NOT_LISTED),
        (
            ALLOWED,
            NONE,
            REQUEST,
            f"no token came from {ALLOWED}: require_token is on, so an allowed address is not enough;"
            " `stagedoor status` shows it",
        ),
        (
            ALLOWED,
            f"{TOKEN}s ",
            REQUEST,
            f"wrong token: {EXPECTED} characters expected, {EXPECTED + 1} came from {ALLOWED};"
            " `stagedoor status` shows it",
        ),
        (
            LOOPBACK,
            NONE,
            PORT,
            f"no token came from {LOOPBACK}: the window's is needed on loopback and on Unix sockets, at the end of an"
            " SSH tunnel for example; `stagedoor status` shows it",
        ),
        (
            LOOPBACK,
            WRONG,
            PORT,
            f"wrong token: {EXPECTED} characters expected, {len(WRONG)} came from {LOOPBACK};"
            " `stagedoor status` shows it",
        ),
        (
            "127.0.0.2",
            "x" * EXPECTED,
            PORT,
            f"wrong token: {EXPECTED} characters came from 127.0.0.2, as expected, but not these: perhaps an old"
            " window's; `stagedoor status` shows it",
        ),
    ],
)
def test_says_who_was_refused_and_why(address: str, presented: str | None, at_port: bool, sentence: str) -> None:
    refused = refusal(address, ALLOWLIST, token=TOKEN, presented=presented, require_token=True, at_port=at_port)
    assert isinstance(refused, Refusal)
    assert refused.sentence == sentence


def test_says_where_the_token_is_as_its_switch_has_it() -> None:
    shown = "STAGEDOOR_TOKEN is it"
    refused = refusal(LOOPBACK, ALLOWLIST, token=TOKEN, presented=NONE, require_token=False, at_port=True, shown=shown)
    assert refused is not None
    assert refused.sentence.endswith(f"; {shown}")


@pytest.mark.parametrize("require_token", [False, True])
@pytest.mark.parametrize("at_port", [False, True])
def test_no_sentence_holds_a_token_nor_one_about_a_token_the_allowlist(require_token: bool, at_port: bool) -> None:
    for address in (ALLOWED, STRANGER, LOOPBACK, "127.0.0.2", UNIX_PEER):
        for presented in (RIGHT, WRONG, NONE):
            refused = refusal(
                address, ALLOWLIST, token=TOKEN, presented=presented, require_token=require_token, at_port=at_port
            )
            if refused is not None:
                assert TOKEN not in refused.sentence
                assert WRONG not in refused.sentence
                assert refused.code == "address" or "2001:db8::" not in refused.sentence


@pytest.mark.parametrize(
    ("carried", "best"),
    [
        pytest.param([], None, id="none"),
        pytest.param([WRONG], WRONG, id="a wrong one"),
        pytest.param([WRONG, f"{TOKEN} ", "another"], f"{TOKEN} ", id="an old cookie before the new one"),
        pytest.param([WRONG, "another"], WRONG, id="two wrong ones"),
    ],
)
def test_of_several_tokens_the_right_one_counts(carried: list[str], best: str | None) -> None:
    assert best_of(carried, TOKEN) == best


ADDRESSES = st.sampled_from([ALLOWED, STRANGER, LOOPBACK, "127.0.0.2", "::1", UNIX_PEER, "", "unknown"]) | st.text()


@given(ADDRESSES, st.sampled_from([NONE, RIGHT, WRONG, "\ud800"]) | st.text(), st.booleans(), st.booleans())
def test_nobody_gets_in_without_an_allowed_address_or_the_token(
    address: str, presented: str | None, require_token: bool, at_port: bool
) -> None:
    decision = decide(address, presented, require_token=require_token, at_port=at_port)
    enough = address in ALLOWLIST and not require_token and not (at_port and is_loopback(address))
    assert (decision == "in") <= (enough or presented == TOKEN)
    assert decision in {"in", "address", "token"}
