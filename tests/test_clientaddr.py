"""From a request to its client's address: with and without proxies, against Werkzeug's own ProxyFix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ, run_wsgi_app

from stagedoor.admission import Refusal
from stagedoor.allowlist import normalized
from stagedoor.clientaddr import FORWARDED_CHOICES, FORWARDING_HEADERS, PROXY_FIX_LINE, client_address

PROXY = "192.0.2.80"
CLIENT = "203.0.113.7"

Layer = Callable[[Any], Any]


class Door:
    """In the place of the middleware: notes what is known of the client, and calls the application."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.seen: str | Refusal | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.seen = client_address(environ)
        return self.app(environ, start_response)  # type: ignore[no-any-return]


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    return []


def request(app: Any, headers: dict[str, str], remote: str = PROXY) -> None:
    run_wsgi_app(app, create_environ(headers=headers, environ_overrides={"REMOTE_ADDR": remote}))


def seen_behind(layers: list[Layer], headers: dict[str, str], remote: str = PROXY) -> str | Refusal | None:
    """What the door sees of a request that goes through ``layers``, the outermost last."""
    door = app = Door(application)
    for layer in layers:
        app = layer(app)
    request(app, headers, remote)
    return door.seen


def sentence_of(seen: str | Refusal | None, code: str) -> str:
    assert isinstance(seen, Refusal)
    assert seen.code == code
    return seen.sentence


def proxy_fix(x_for: int) -> Layer:
    return lambda app: ProxyFix(app, x_for=x_for)


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", id="IPv4"),
        pytest.param("2001:DB8:0::7", "2001:db8::7", id="IPv6, in its canonical spelling"),
        pytest.param("::ffff:203.0.113.7", "203.0.113.7", id="IPv4-mapped, from a dual-stack socket"),
    ],
)
def test_a_direct_request_comes_from_its_remote_addr(remote: str, address: str) -> None:
    assert client_address({"REMOTE_ADDR": remote, "HTTP_HOST": "staging", "HTTP_X_OTHER": "127.0.0.1"}) == address


@pytest.mark.parametrize(("key", "header"), FORWARDING_HEADERS.items())
@pytest.mark.parametrize("value", [CLIENT, "127.0.0.1", "", "unknown"])
def test_a_forwarding_header_without_proxy_fix_is_refused(key: str, header: str, value: str) -> None:
    sentence = sentence_of(client_address({"REMOTE_ADDR": PROXY, key: value}), "forwarded")
    assert sentence.startswith(f"{PROXY} sent {header}, which no ProxyFix has handled")
    assert PROXY_FIX_LINE in sentence
    assert "ProxyFix must be outermost" in sentence
    assert 'forwarded="ignore"' in sentence
    assert ("have the proxy send that" in sentence) == (header != "X-Forwarded-For")


def test_the_headers_are_those_of_a_real_request() -> None:
    headers = dict.fromkeys(FORWARDING_HEADERS.values(), CLIENT)
    assert set(FORWARDING_HEADERS) <= set(create_environ(headers=headers))
    assert len(FORWARDING_HEADERS) == 13


def test_of_several_headers_the_one_for_proxy_fix_is_named() -> None:
    seen = seen_behind([], {"Via": "1.1 proxy", "CF-Connecting-IP": CLIENT, "X-Forwarded-For": CLIENT})
    assert " sent X-Forwarded-For, which no ProxyFix" in sentence_of(seen, "forwarded")


def test_the_line_in_the_refusal_is_the_remedy() -> None:
    door = Door(application)
    app = SimpleNamespace(wsgi_app=door)
    request(app.wsgi_app, {"X-Forwarded-For": CLIENT})
    assert PROXY_FIX_LINE in sentence_of(door.seen, "forwarded")
    exec(PROXY_FIX_LINE, {"app": app, "ProxyFix": ProxyFix})
    request(app.wsgi_app, {"X-Forwarded-For": CLIENT})
    assert door.seen == CLIENT


@pytest.mark.parametrize(
    ("x_for", "header", "address"),
    [
        pytest.param(1, CLIENT, CLIENT, id="one proxy"),
        pytest.param(1, f"127.0.0.1, {CLIENT}", CLIENT, id="one proxy, and an address that the client made up"),
        pytest.param(2, f"{CLIENT}, 192.0.2.81", CLIENT, id="two proxies"),
        pytest.param(1, "::ffff:203.0.113.7", CLIENT, id="an IPv4-mapped address"),
        pytest.param(1, "2001:db8::7", "2001:db8::7", id="an IPv6 address"),
    ],
)
def test_behind_proxy_fix_the_address_is_the_one_that_it_found(x_for: int, header: str, address: str) -> None:
    others = {"Via": "1.1 proxy", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    assert seen_behind([proxy_fix(x_for)], {"X-Forwarded-For": header, **others}) == address


@pytest.mark.parametrize("remote", ["", "localhost"])
def test_behind_proxy_fix_a_unix_socket_has_addresses(remote: str) -> None:
    assert seen_behind([proxy_fix(1)], {"X-Forwarded-For": CLIENT}, remote) == CLIENT


def test_behind_proxy_fix_a_request_without_forwarding_headers_is_direct() -> None:
    assert seen_behind([proxy_fix(1)], {}, CLIENT) == CLIENT


@pytest.mark.parametrize(
    ("layers", "headers"),
    [
        pytest.param([proxy_fix(2)], {"X-Forwarded-For": CLIENT}, id="the header is shorter than x_for"),
        pytest.param([proxy_fix(1)], {"X-Forwarded-For": ""}, id="the header is empty"),
        pytest.param([proxy_fix(0)], {"X-Forwarded-For": CLIENT}, id="x_for is 0"),
        pytest.param([proxy_fix(1)], {"X-Forwarded-For": PROXY}, id="the client is on the proxy's host"),
        pytest.param([proxy_fix(1)], {"X-Forwarded-For": f"::ffff:{PROXY}"}, id="the same in another spelling"),
        pytest.param([proxy_fix(1), proxy_fix(1)], {"X-Forwarded-For": CLIENT}, id="there are two of it"),
    ],
)
def test_a_proxy_fix_that_changed_nothing_is_refused(layers: list[Layer], headers: dict[str, str]) -> None:
    sentence = sentence_of(seen_behind(layers, headers), "forwarded")
    assert " sent X-Forwarded-For, but ProxyFix left REMOTE_ADDR as it was" in sentence
    assert "x_for must equal the number of proxies" in sentence


@pytest.mark.parametrize(
    "original",
    [
        pytest.param({}, id="no address"),
        pytest.param({"REMOTE_ADDR": PROXY}, id="the same address"),
        pytest.param({"REMOTE_ADDR": "::ffff:192.0.2.80"}, id="the same address, spelled otherwise"),
        pytest.param(None, id="nothing"),
        pytest.param(CLIENT, id="text"),
    ],
)
def test_what_is_not_from_proxy_fix_handles_nothing(original: object) -> None:
    environ = {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": CLIENT, "werkzeug.proxy_fix.orig": original}
    sentence_of(client_address(environ), "forwarded")


def test_a_proxy_fix_without_its_header_is_refused_and_told_which_one_it_needs() -> None:
    sentence = sentence_of(seen_behind([proxy_fix(1)], {"Via": "1.1 proxy"}), "forwarded")
    assert sentence.startswith(f"{PROXY} sent Via without X-Forwarded-For, the one header from which ProxyFix")


def test_a_proxy_fix_in_the_wrong_order_is_refused_and_told_the_right_one() -> None:
    door = Door(ProxyFix(application, x_for=1))
    request(door, {"X-Forwarded-For": CLIENT})
    sentence = sentence_of(door.seen, "forwarded")
    assert f"Add the line {PROXY_FIX_LINE} below the StageDoor line" in sentence


@pytest.mark.parametrize("found", ["unknown", "_gazonk", f"{CLIENT}:4711", '"[2001:db8::7]:4711"', "fe80::1%eth0"])
def test_what_proxy_fix_found_must_be_an_address(found: str) -> None:
    sentence = sentence_of(seen_behind([proxy_fix(1)], {"X-Forwarded-For": found}), "unparseable")
    assert found.strip('"') in sentence


def test_ignore_believes_remote_addr_and_looks_at_no_header() -> None:
    environ = {"REMOTE_ADDR": PROXY, **dict.fromkeys(FORWARDING_HEADERS, CLIENT)}
    assert client_address(environ, forwarded="ignore") == PROXY
    assert client_address({"REMOTE_ADDR": ""}, forwarded="ignore") == client_address({"REMOTE_ADDR": ""})


def test_refuse_is_the_default_and_what_every_other_word_means() -> None:
    environ = {"REMOTE_ADDR": PROXY, "HTTP_VIA": "1.1 proxy"}
    refused = client_address(environ)
    sentence_of(refused, "forwarded")
    assert FORWARDED_CHOICES == ("refuse", "ignore")
    assert client_address(environ, forwarded="refuse") == client_address(environ, forwarded="Ignore") == refused


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="no REMOTE_ADDR"),
        pytest.param({"REMOTE_ADDR": None}, id="None"),
        pytest.param({"REMOTE_ADDR": ""}, id="an empty string, as from gunicorn on a Unix socket"),
        pytest.param({"REMOTE_ADDR": " "}, id="a blank"),
    ],
)
def test_a_blank_address_is_refused(environ: dict[str, Any]) -> None:
    sentence = sentence_of(client_address(environ), "blank")
    assert "Unix socket" in sentence
    assert PROXY_FIX_LINE in sentence


@pytest.mark.parametrize(
    ("remote", "named"),
    [
        pytest.param("localhost", "'localhost'", id="a name, as from waitress on a Unix socket"),
        pytest.param("<local>", "'<local>'", id="Werkzeug on a Unix socket"),
        pytest.param("fe80::1%eth0", "'fe80::1%eth0'", id="a zone id"),
        pytest.param("203.0.113.7:4711", "'203.0.113.7:4711'", id="a port"),
        pytest.param("203.0.113.7\nforged log line", r"'203.0.113.7\nforged log line'", id="a line feed"),
        pytest.param("\ud800", r"'\ud800'", id="what can't be encoded"),
        pytest.param("9" * 100_000, "9...", id="a very long string"),
        pytest.param(0x7F000001, "a value of type int", id="an integer"),
        pytest.param(b"127.0.0.1", "a value of type bytes", id="bytes"),
    ],
)
def test_what_is_no_address_is_refused_and_shown(remote: object, named: str) -> None:
    sentence = sentence_of(client_address({"REMOTE_ADDR": remote}), "unparseable")
    assert named in sentence
    assert len(sentence) < 300
    assert sentence.isprintable()


def test_what_a_header_holds_is_never_shown() -> None:
    for key in FORWARDING_HEADERS:
        assert "made up" not in sentence_of(client_address({"REMOTE_ADDR": PROXY, key: "made up"}), "forwarded")


class Hostile:
    """Fails whatever is asked of it."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __bool__ = __len__ = __repr__


ADDRESSES = st.sampled_from([PROXY, CLIENT, "::1", "", "unknown", "::ffff:127.0.0.1", "fe80::1%1"])
VALUES = st.one_of(ADDRESSES, st.text(), st.none(), st.integers(), st.binary(), st.lists(st.text()), st.builds(Hostile))
ENVIRONS = st.fixed_dictionaries(
    {},
    optional={
        "REMOTE_ADDR": VALUES,
        "werkzeug.proxy_fix.orig": VALUES | st.fixed_dictionaries({}, optional={"REMOTE_ADDR": VALUES}),
        **dict.fromkeys(FORWARDING_HEADERS, VALUES),
    },
)


@given(ENVIRONS, st.sampled_from([*FORWARDED_CHOICES, ""]))
def test_every_environ_has_an_address_or_a_refusal(environ: dict[str, Any], forwarded: str) -> None:
    seen = client_address(environ, forwarded=forwarded)
    if isinstance(seen, Refusal):
        assert seen.code in {"forwarded", "blank", "unparseable"}
        assert seen.sentence.isprintable()
        return
    assert seen == normalized(environ["REMOTE_ADDR"])
    if forwarded != "ignore" and any(key in environ for key in FORWARDING_HEADERS):
        assert normalized(environ["werkzeug.proxy_fix.orig"]["REMOTE_ADDR"]) != seen
