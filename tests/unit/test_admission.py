"""Who is let in: the whole decision as one table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.access.addresses import is_loopback, normalized
from stagedoor.access.allowlist import Allowlist
from stagedoor.access.decision import EVERYBODY, UNIX_PEER, Admitted, Refusal, decide_peer, decide_request
from stagedoor.access.passes import is_pass_name, make_passes

TOKEN = "the-token-of-the-open-window-of-today"
ALLOWLIST = Allowlist("203.0.113.7 2001:db8::/48 127.0.0.2")

ALLOWED, STRANGER, LOOPBACK = "203.0.113.7", "198.51.100.9", "127.0.0.1"
RIGHT, WRONG, NONE = TOKEN, "a-wrong-token", None

ANNA, BEN = make_passes("anna", TOKEN), make_passes("ben", TOKEN)
OLD = make_passes("anna", "the-token-of-the-window-of-yesterday-x")
FORGED = f"ben.{ANNA.request.partition('.')[2]}"
SHORT = "a-token-of-16-ch"

PORT, REQUEST = True, False


def decision(
    address: str, presented: str | None, *, require_token: bool = False, at_port: bool = False, **others: Any
) -> Admitted | Refusal:
    """At the port, or for a request that carries one thing at most."""
    if at_port:
        asked = {"token": TOKEN, "presented": presented, "require_token": require_token} | others
        return decide_peer(address, ALLOWLIST, **asked)
    asked = {"token": TOKEN, "carried": [presented] if presented is not None else []} | others
    return decide_request(address, ALLOWLIST, require_token=require_token, **asked)


def refused(*arguments: Any, **keywords: Any) -> Refusal:
    made = decision(*arguments, **keywords)
    assert isinstance(made, Refusal)
    return made


def decide(*arguments: Any, **keywords: Any) -> str:
    """``"in"``, or the code of the refusal."""
    made = decision(*arguments, **keywords)
    return made.code if isinstance(made, Refusal) else "in"


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
    own = {"is_own": True} if at_port else {}
    assert decide(address, presented, at_port=at_port, **own) == decision
    if decision == "token" and presented is NONE:
        sentence = refused(address, presented, at_port=at_port, **own).sentence
        assert "the window's is needed from the server's own addresses" in sentence


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
    assert refused(address, presented, require_token=True, at_port=at_port).sentence == sentence


def test_says_where_the_token_is_as_its_switch_has_it() -> None:
    shown = "STAGEDOOR_TOKEN is it"
    assert refused(LOOPBACK, NONE, at_port=True, shown=shown).sentence.endswith(f"; {shown}")


@pytest.mark.parametrize("require_token", [False, True])
@pytest.mark.parametrize("at_port", [False, True])
def test_no_sentence_holds_a_token_nor_one_about_a_token_the_allowlist(require_token: bool, at_port: bool) -> None:
    for address in (ALLOWED, STRANGER, LOOPBACK, "127.0.0.2", UNIX_PEER):
        for presented in (RIGHT, WRONG, NONE, ANNA.request, ANNA.attach, OLD.request, FORGED):
            made = decision(address, presented, require_token=require_token, at_port=at_port)
            if isinstance(made, Refusal):
                assert TOKEN not in made.sentence
                assert WRONG not in made.sentence
                assert not any(each.partition(".")[2] in made.sentence for each in (ANNA.request, ANNA.attach, FORGED))
                assert made.code == "address" or "2001:db8::" not in made.sentence


# Whose it is


@pytest.mark.parametrize(
    ("address", "carried", "owner"),
    [
        pytest.param(ALLOWED, [], ALLOWED, id="nothing: its address"),
        pytest.param("::ffff:203.0.113.7", [], ALLOWED, id="nothing: its address as everybody spells it"),
        pytest.param("2001:DB8:0::9", [], "2001:db8::9", id="nothing: its IPv6 address as everybody spells it"),
        pytest.param("127.0.0.2", [], "127.0.0.2", id="nothing, from an allowed loopback address"),
        pytest.param(ALLOWED, [RIGHT], ALLOWED, id="the token, which is everybody's"),
        pytest.param(ALLOWED, [WRONG], ALLOWED, id="a wrong token, where none is asked for"),
        pytest.param(ALLOWED, [ANNA.request], "anna", id="a pass"),
        pytest.param(ALLOWED, [f'"{ANNA.request}" '], "anna", id="a pass in quotes, and a blank"),
        pytest.param(ALLOWED, [OLD.request, ANNA.request], "anna", id="an old pass before the new one"),
        pytest.param(ALLOWED, [WRONG, RIGHT, BEN.request], "ben", id="a pass beside tokens"),
        pytest.param(ALLOWED, [ANNA.request, BEN.request], "anna", id="two passes: the first"),
        pytest.param(ALLOWED, [OLD.request, RIGHT], ALLOWED, id="an old pass beside the token"),
        pytest.param(ALLOWED, [ANNA.attach], "refused: pass", id="the pass to attach with"),
        pytest.param(ALLOWED, [OLD.request], "refused: pass", id="an old window's pass"),
        pytest.param(ALLOWED, [FORGED], "refused: pass", id="another's pass under a new name"),
        pytest.param(ALLOWED, [WRONG, OLD.request], "refused: pass", id="a wrong token before an old pass"),
        pytest.param(STRANGER, [ANNA.request], "refused: address", id="a stranger with a pass"),
        pytest.param(STRANGER, [OLD.request], "refused: address", id="a stranger with an old pass"),
    ],
)
def test_a_request_is_its_passes_else_its_addresses(address: str, carried: list[str], owner: str) -> None:
    made = decide_request(address, ALLOWLIST, token=TOKEN, carried=carried)
    assert (f"refused: {made.code}" if isinstance(made, Refusal) else made.owner) == owner
    assert isinstance(made, Refusal) or made.claims is None


@pytest.mark.parametrize(
    ("address", "presented", "require_token", "owner", "claims"),
    [
        pytest.param(ALLOWED, NONE, False, ALLOWED, None, id="an allowed address"),
        pytest.param("::ffff:203.0.113.7", NONE, False, ALLOWED, None, id="an allowed address, IPv4-mapped"),
        pytest.param(ALLOWED, WRONG, False, ALLOWED, None, id="an allowed address with a wrong token"),
        pytest.param(ALLOWED, RIGHT, False, EVERYBODY, None, id="an allowed address with the token"),
        pytest.param(ALLOWED, RIGHT, True, EVERYBODY, None, id="the same with require_token"),
        pytest.param(ALLOWED, ANNA.attach, False, "anna", ALLOWED, id="a pass, from an allowed address"),
        pytest.param("::ffff:203.0.113.7", ANNA.attach, True, "anna", ALLOWED, id="the same with require_token"),
        pytest.param(LOOPBACK, RIGHT, False, EVERYBODY, None, id="loopback with the token"),
        pytest.param(LOOPBACK, ANNA.attach, True, "anna", None, id="loopback with a pass"),
        pytest.param("127.0.0.2", ANNA.attach, False, "anna", None, id="an allowed loopback address with a pass"),
        pytest.param("::1", ANNA.attach, False, "anna", None, id="the other loopback with a pass"),
        pytest.param(UNIX_PEER, RIGHT, False, EVERYBODY, None, id="a Unix socket with the token"),
        pytest.param(UNIX_PEER, f"{ANNA.attach}\n", False, "anna", None, id="a Unix socket with a pass"),
    ],
)
def test_a_session_is_its_passes_else_everybodys_else_its_addresses(
    address: str, presented: str | None, require_token: bool, owner: str, claims: str | None
) -> None:
    assert decision(address, presented, require_token=require_token, at_port=True) == Admitted(owner, claims)


@pytest.mark.parametrize("address", [ALLOWED, STRANGER])
def test_a_session_from_the_servers_own_address_claims_no_address(address: str) -> None:
    assert decision(address, ANNA.attach, at_port=True, is_own=True) == Admitted("anna")
    assert decision(address, RIGHT, at_port=True, is_own=True) == Admitted(EVERYBODY)


@pytest.mark.parametrize("require_token", [False, True])
@pytest.mark.parametrize("address", [ALLOWED, LOOPBACK, "127.0.0.2", "::1", UNIX_PEER])
@pytest.mark.parametrize("presented", [ANNA.request, OLD.attach, FORGED])
def test_a_pass_for_requests_or_of_another_window_never_attaches(
    address: str, require_token: bool, presented: str
) -> None:
    assert decide(address, presented, require_token=require_token, at_port=True) == "pass"


def test_require_token_is_satisfied_by_a_pass_for_requests_and_by_no_other() -> None:
    assert decision(ALLOWED, ANNA.request, require_token=True) == Admitted("anna")
    assert decide(ALLOWED, ANNA.attach, require_token=True) == "pass"
    assert decide(ALLOWED, OLD.request, require_token=True) == "pass"


@pytest.mark.parametrize(
    ("presented", "at_port", "token", "sentence"),
    [
        (
            ANNA.request,
            PORT,
            TOKEN,
            f'{ALLOWED} brought anna\'s pass "request": a client attaches with the other one of `stagedoor pass anna`',
        ),
        (
            ANNA.attach,
            REQUEST,
            TOKEN,
            f'{ALLOWED} brought anna\'s pass "attach": a request carries the other one of `stagedoor pass anna`',
        ),
        (
            OLD.request,
            REQUEST,
            TOKEN,
            f"{ALLOWED} brought a pass of anna's that is none of this window's, perhaps an old one's:"
            " `stagedoor pass anna` prints new ones",
        ),
        (
            make_passes("anna", SHORT.ljust(32, "\0")).request,
            REQUEST,
            SHORT,
            f"{ALLOWED} brought a pass of anna's, and the window's token has 16 characters: passes need one of at least 32,"
            " so set a longer STAGEDOOR_TOKEN and restart the application",
        ),
    ],
)
def test_says_what_is_wrong_with_a_pass(presented: str, at_port: bool, token: str, sentence: str) -> None:
    assert refused(ALLOWED, presented, at_port=at_port, token=token) == Refusal("pass", sentence)


# select="token"


@pytest.mark.parametrize("address", [ALLOWED, STRANGER, LOOPBACK, "2001:db8:ffff::1"])
@pytest.mark.parametrize(
    ("carried", "is_https", "outcome"),
    [
        pytest.param([RIGHT], True, "address", id="the token over https"),
        pytest.param([ANNA.request], True, "anna", id="a pass over https"),
        pytest.param([OLD.request, f"{ANNA.request} "], True, "anna", id="a pass beside an old one"),
        pytest.param([RIGHT], False, "refused: http", id="the token over http"),
        pytest.param([ANNA.request], False, "refused: http", id="a pass over http"),
        pytest.param([], True, "refused: select", id="nothing over https"),
        pytest.param([], False, "refused: select", id="nothing over http"),
        pytest.param([WRONG], True, "refused: token", id="a wrong token"),
        pytest.param([WRONG], False, "refused: token", id="a wrong token over http"),
        pytest.param([""], True, "refused: token", id="an empty token"),
        pytest.param([OLD.request], True, "refused: pass", id="an old window's pass"),
        pytest.param([ANNA.attach], True, "refused: pass", id="the pass to attach with"),
        pytest.param([ANNA.attach], False, "refused: pass", id="the same over http"),
    ],
)
@pytest.mark.parametrize("require_token", [False, True])
def test_selected_by_token_any_address_matches_with_one_over_https(
    address: str, carried: list[str], is_https: bool, outcome: str, require_token: bool
) -> None:
    for allowlist in (ALLOWLIST, Allowlist("")):
        made = decide_request(
            address,
            allowlist,
            token=TOKEN,
            carried=carried,
            require_token=require_token,
            select="token",
            is_https=is_https,
        )
        if isinstance(made, Refusal):
            assert f"refused: {made.code}" == outcome
        else:
            assert made == Admitted(address if outcome == "address" else outcome)


@pytest.mark.parametrize("address", ["", "unknown", "127.0.0.1%1", UNIX_PEER])
def test_selected_by_token_what_is_no_address_never_matches(address: str) -> None:
    assert decide(address, RIGHT, select="token", is_https=True) == "unparseable"


ADDRESSES = st.sampled_from([ALLOWED, STRANGER, LOOPBACK, "127.0.0.2", "::1", UNIX_PEER, "", "unknown"]) | st.text()
PRESENTED = st.sampled_from([NONE, RIGHT, WRONG, "\ud800", ANNA.request, ANNA.attach, OLD.request]) | st.text()


@given(ADDRESSES, PRESENTED, st.booleans(), st.booleans())
def test_nobody_gets_in_without_an_allowed_address_or_the_token(
    address: str, presented: str | None, require_token: bool, at_port: bool
) -> None:
    made = decision(address, presented, require_token=require_token, at_port=at_port)
    enough = address in ALLOWLIST and not require_token and not (at_port and is_loopback(address))
    a_pass = ANNA.attach if at_port else ANNA.request
    if isinstance(made, Admitted):
        assert enough or presented in (TOKEN, a_pass)
        assert (made.owner == "anna") == (presented == a_pass)
        assert (made.owner == EVERYBODY) == (at_port and presented == TOKEN)
        assert is_pass_name(made.owner) or made.owner in (EVERYBODY, normalized(address))
    else:
        assert made.code in {"address", "token", "pass"}
