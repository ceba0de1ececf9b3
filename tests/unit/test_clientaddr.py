"""From a request to its client's address: with and without proxies, against Werkzeug's own ProxyFix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import create_environ, run_wsgi_app

from stagedoor.access.addresses import normalized
from stagedoor.access.client_address import FORWARDED_CHOICES, PROXY_FIX_REMEDY, client_address, proxy_fix_remedy
from stagedoor.access.decision import Refusal
from stagedoor.access.proxy_headers import forwarding_header, gives_a_proxy_away, header_name

PROXY = "192.0.2.80"
PROXY_FIX_LINE = "application = ProxyFix(application, x_for=1)"

#: Headers with which proxies, CDNs and clouds tell a client's address, or give themselves away.
OF_PROXIES = """
X-Forwarded-For Forwarded X-Real-IP Via True-Client-IP CF-Connecting-IP Fastly-Client-IP X-Client-IP X-Cluster-Client-IP
X-Original-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port
Client-IP X-Remote-Addr X-Remote-IP Remote-Addr X-Originating-IP X-Azure-ClientIP X-Azure-SocketIP CF-Connecting-IPv6
CF-Pseudo-IPv4 Incap-Client-IP Ali-CDN-Real-IP X-Envoy-External-Address X-Appengine-User-IP Fly-Client-IP X-UserIP
X-NF-Client-Connection-IP CloudFront-Viewer-Address X-ProxyUser-IP WL-Proxy-Client-IP Proxy-Client-IP X-Coming-From
CDN-Src-IP X-Remote-Host X-Sucuri-ClientIP X-Vercel-Forwarded-For X-Forward-For Forwarded-For X-True-IP X-Forwarded
X-Forwarded-By X-Forwarded-Server X-Peer-Address X-Client-Addr X-ClientAddr X-RealIP X-Source-IP X-Original-Host
""".split()  # noqa: SIM905
#: What clients and applications send themselves, some of it with the same words or letters.
OF_CLIENTS = """
Host User-Agent Accept Accept-Encoding Accept-Language Cookie Referer Origin Connection Cache-Control Pragma Range TE
X-Requested-With DNT Upgrade-Insecure-Requests Sec-Fetch-Site Sec-CH-UA Authorization X-CSRF-Token If-None-Match
X-Stagedoor X-Stagedoor-Token Traceparent X-Request-Id Proxy-Authorization Proxy-Connection Keep-Alive
X-Client-Version X-Client-Data X-Client-Name X-Client-Id X-Real-Name X-Remote-Version X-Source-Version X-User-Name
X-Shipping-Address X-Billing-Address X-Email-Address X-User-Address X-Gzip X-Ship X-Zip X-Skip X-Tip X-Vip X-Voip
X-Membership X-Recipient X-Description X-Transcript X-Relationship X-Viaduct X-Host X-Origin X-Local-Hostname
""".split()  # noqa: SIM905


def key_of(header: str) -> str:
    """The header's key in an environ, as a server makes it."""
    (key,) = set(create_environ(headers={header: "x"})) - set(create_environ()) or {header.upper()}
    return key


FORWARDING_HEADERS = {key_of(header): header_name(key_of(header)) for header in OF_PROXIES}
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
    assert header_name("HTTP_X_REAL_IP") == "X-Real-IP"
    assert header_name("HTTP_CF_CONNECTING_IPV6") == "CF-Connecting-IPv6"


@pytest.mark.parametrize("header", OF_CLIENTS)
def test_what_a_client_sends_itself_gives_no_proxy_away(header: str) -> None:
    environ = create_environ(headers={header: "1.2.3.4"}, environ_overrides={"REMOTE_ADDR": CLIENT})
    assert client_address(environ) == CLIENT
    assert forwarding_header(environ) is None


def test_what_is_no_header_gives_no_proxy_away() -> None:
    assert client_address({"REMOTE_ADDR": CLIENT, "REMOTE_HOST": "x", "X_CLIENT_IP": "y", 5: "z"}) == CLIENT  # type: ignore[dict-item]
    assert not gives_a_proxy_away("REMOTE_ADDR")


def test_of_several_headers_the_one_for_proxy_fix_is_named() -> None:
    seen = seen_behind([], {"Via": "1.1 proxy", "CF-Connecting-IP": CLIENT, "X-Forwarded-For": CLIENT})
    assert " sent X-Forwarded-For, which no ProxyFix" in sentence_of(seen, "forwarded")


def test_the_line_in_the_refusal_is_the_remedy() -> None:
    door = Door(application)
    request(door, {"X-Forwarded-For": CLIENT})
    sentence = sentence_of(door.seen, "forwarded")
    names: dict[str, Any] = {"application": door, "app": SimpleNamespace(wsgi_app=door)}
    paste(sentence, names)
    request(names["application"], {"X-Forwarded-For": CLIENT})
    assert door.seen == CLIENT
    door.seen = None
    paste(proxy_fix_remedy("app.wsgi_app"), names)
    request(names["app"].wsgi_app, {"X-Forwarded-For": CLIENT})
    assert door.seen == CLIENT


def paste(sentence: str, names: dict[str, Any]) -> None:
    """Do what a sentence says, in a module with these names and no others."""
    for line in re.findall(r"from \S+ import \S+|\S+ = ProxyFix\([^)]+\)", sentence):
        exec(line, names)


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
    assert PROXY_FIX_REMEDY in sentence


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
