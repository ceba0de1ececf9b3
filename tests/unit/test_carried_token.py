"""The token that a request carries: what is read of it, and that nobody behind Stagedoor ever sees it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.http import parse_cookie
from werkzeug.wrappers import Request

from stagedoor import StageDoor
from stagedoor.access.carried_token import take_token
from stagedoor.access.passes import make_passes
from support.servers import ALLOWED, OTHER
from support.stage import Environ, make_environ, serve

ONE, TWO = "the-one-token-of-all", "an-old-token-of-yesterday"
NAME = "stagedoor_token"


@pytest.mark.parametrize(
    ("cookies", "rest", "held"),
    [
        pytest.param(f"{NAME}={ONE}", None, [ONE], id="it alone"),
        pytest.param(f"{NAME}={ONE};", None, [ONE], id="it alone, and a semicolon"),
        pytest.param(f"{NAME}={ONE}; a=b", "a=b", [ONE], id="it first"),
        pytest.param(f"a=b; {NAME}={ONE}", "a=b", [ONE], id="it last"),
        pytest.param(f"a=b; {NAME}={ONE}; c=d", "a=b; c=d", [ONE], id="it in the middle"),
        pytest.param(f"a=b;{NAME}={ONE};c=d", "a=b;c=d", [ONE], id="no blanks"),
        pytest.param(f"a=b ;  {NAME} = {ONE} ; c = d ", "a=b ; c = d ", [f" {ONE} "], id="blanks everywhere"),
        pytest.param(f'a="b"; {NAME}="{ONE}"; c=d=e', 'a="b"; c=d=e', [f'"{ONE}"'], id="quotes"),
        pytest.param(f"{NAME}={TWO}; a=b; {NAME}={ONE}", "a=b", [TWO, ONE], id="two of the name"),
        pytest.param(f"a=b; {NAME}", "a=b", [""], id="its name alone"),
        pytest.param(f"a=b; {NAME}=", "a=b", [""], id="an empty one"),
        pytest.param(f"not_{NAME}={ONE}; a=b", f"not_{NAME}={ONE}; a=b", [], id="a longer name"),
        pytest.param(f"{NAME}2={ONE}", f"{NAME}2={ONE}", [], id="another longer name"),
        pytest.param(f"{NAME.upper()}={ONE}", f"{NAME.upper()}={ONE}", [], id="another case, which is another cookie"),
        pytest.param(f"a={NAME}", f"a={NAME}", [], id="its name as a value"),
        pytest.param(f"a={NAME}={ONE}", f"a={NAME}={ONE}", [], id="all of it as a value"),
        pytest.param("b\xc3\xa4r=\xff; " + f"{NAME}={ONE}", "b\xc3\xa4r=\xff", [ONE], id="bytes that are no ASCII"),
        pytest.param(f'a="; {NAME}={ONE}; b="', 'a="; b="', [ONE], id="between quotes, which hold no semicolon"),
        pytest.param(f" a=b;; {NAME}={ONE};;c", " a=b;;;c", [ONE], id="empty ones"),
    ],
)
def test_its_cookies_are_taken_and_all_others_stay(cookies: str, rest: str | None, held: list[str]) -> None:
    environ = {"HTTP_COOKIE": cookies, "PATH_INFO": "/"}
    assert take_token(environ) == held
    assert environ == {"PATH_INFO": "/"} | ({} if rest is None else {"HTTP_COOKIE": rest})


PAIRS = st.lists(
    st.tuples(
        st.sampled_from([NAME, "a", "session", f"x{NAME}", f"{NAME}x"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=';,"'), max_size=8),
    ),
    max_size=6,
)


@given(PAIRS, st.sampled_from(["; ", ";", " ; "]))
def test_whatever_cookies_come_the_others_mean_the_same_as_before(pairs: list[tuple[str, str]], between: str) -> None:
    cookies = between.join(f"{name}={value}" for name, value in pairs)
    environ = {"HTTP_COOKIE": cookies}
    take_token(environ)
    left = environ.get("HTTP_COOKIE", "")
    before = [each for each in parse_cookie(cookies).items(multi=True) if each[0] != NAME]
    assert list(parse_cookie(left).items(multi=True)) == before
    for name, value in pairs:
        if name != NAME:
            assert f"{name}={value}".strip() in left


@pytest.mark.parametrize("cookies", [None, 5, b"stagedoor_token=x"])
def test_what_no_server_should_give_is_left_alone(cookies: Any) -> None:
    environ = {"HTTP_COOKIE": cookies, "HTTP_X_STAGEDOOR_TOKEN": ONE}
    assert take_token(environ) == [ONE]
    assert environ == {"HTTP_COOKIE": cookies}


# As the application sees it

CARRIED: dict[str, dict[str, str]] = {
    "in the header": {"X-Stagedoor-Token": ONE},
    "in the cookie": {"Cookie": f"a=b; {NAME}={ONE}; c=d"},
    "in both": {"X-Stagedoor-Token": ONE, "Cookie": f"{NAME}={ONE}"},
    "in two cookies": {"Cookie": f"{NAME}={TWO}; {NAME}={ONE}; a=b"},
    "in a wrong header": {"X-Stagedoor-Token": TWO},
}


class Recording:
    """An application that notes the environ as it saw it."""

    def __init__(self) -> None:
        self.seen: list[Environ] = []

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        self.seen.append(dict(environ))
        start_response("200 OK", [])
        return []


def opened(app: Any, **settings: Any) -> StageDoor:
    usual = {"allow": ALLOWED, "switch": "memory", "debugger": "listen", "bind": "127.0.0.1:1"}
    door = StageDoor(app, **(usual | settings))
    door.open(timedelta(minutes=5))
    return door


@pytest.mark.parametrize("headers", CARRIED.values(), ids=CARRIED)
@pytest.mark.parametrize("source", [ALLOWED, OTHER, "203.0.113.9", "", "nonsense"])
def test_no_application_sees_the_token_while_a_window_is_open(source: str, headers: dict[str, str]) -> None:
    app = Recording()
    door = opened(app)
    for _ in range(3):  # A stranger's second request is turned away sooner than its first.
        environ = make_environ("/", source, {"X-Stagedoor": "ignore"} | headers)
        bare = {name: value for name, value in environ.items() if name not in ("HTTP_COOKIE", "HTTP_X_STAGEDOOR_TOKEN")}
        serve(door, environ)
        seen = app.seen.pop()
        assert ONE not in repr(seen)
        assert TWO not in repr(seen)
        cookies = seen.pop("HTTP_COOKIE", None)
        assert cookies == {"in the cookie": "a=b; c=d", "in two cookies": "a=b"}.get(
            next(name for name, each in CARRIED.items() if each is headers)
        )
        assert seen == bare, "and everything else is as it was"
        assert ONE not in repr(environ), "the server's own dictionary too, into which outer layers look"
    door.close()


@pytest.mark.parametrize("headers", CARRIED.values(), ids=CARRIED)
def test_without_a_window_nothing_is_touched(headers: dict[str, str]) -> None:
    app = Recording()
    door = StageDoor(app, allow=ALLOWED, switch="memory")
    environ = make_environ("/", ALLOWED, headers)
    before = dict(environ)
    serve(door, environ)
    assert app.seen == [before] == [environ]


@pytest.mark.parametrize("header", ["HTTP_X_STAGEDOOR_TOKEN", "HTTP_COOKIE"])
@pytest.mark.parametrize("template", ["{}", " {} ", "{}\r\n", '"{}"', "'{}' "])
def test_require_token_takes_the_token_as_it_was_copied(header: str, template: str) -> None:
    door = opened(Recording(), require_token=True)
    token = template.replace("{}", door.settings.switch.read().token)  # type: ignore[union-attr]
    environ = make_environ("/", ALLOWED, {"X-Stagedoor": "ignore"})
    environ[header] = token if header == "HTTP_X_STAGEDOOR_TOKEN" else f"{NAME}={TWO}; {NAME}={token}; a=b"
    assert serve(door, environ).header is not None
    door.close()


# What holds the headers a second time


class Inner(Recording):
    """An application that notes all that it is given, and what is in it."""

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        request = environ.get("werkzeug.request")
        self.held = repr([environ, dict(request.cookies) if request is not None else None])
        return super().__call__(environ, start_response)


def through_a2wsgi(door: StageDoor, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    a2wsgi = pytest.importorskip("a2wsgi", reason="a2wsgi is not installed")
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": list(raw),
        "client": (ALLOWED, 1),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(a2wsgi.WSGIMiddleware(door)(scope, receive, send))
    assert sent[0]["status"] == 200
    assert scope["headers"] == raw, "the server's own is left as it was"
    return raw


@pytest.mark.parametrize("headers", CARRIED.values(), ids=CARRIED)
def test_what_a2wsgi_keeps_of_the_asgi_request_holds_no_token(headers: dict[str, str]) -> None:
    app = Inner()
    door = opened(app)
    through_a2wsgi(door, {"X-Stagedoor": "ignore", "X-Other": "one"} | headers)
    [seen] = app.seen
    assert ONE not in app.held
    assert TWO not in app.held
    left = [(name, value) for name, value in seen["asgi.scope"]["headers"] if name != b"cookie"]
    assert left == [(b"x-stagedoor", b"ignore"), (b"x-other", b"one")]
    cookies = [value.decode() for name, value in seen["asgi.scope"]["headers"] if name == b"cookie"]
    assert cookies == ([seen["HTTP_COOKIE"]] if "HTTP_COOKIE" in seen else [])
    door.close()


def webob_outside(environ: Environ) -> object:
    webob = pytest.importorskip("webob", reason="WebOb is not installed")
    return dict(webob.Request(environ).cookies)


def bottle_outside(environ: Environ) -> object:
    bottle = pytest.importorskip("bottle", reason="Bottle is not installed")
    return dict(bottle.BaseRequest(environ).cookies)


def werkzeug_outside(environ: Environ) -> object:
    return dict(Request(environ).cookies)


def eventlet_outside(environ: Environ) -> object:
    """As its server does it."""
    names = {"HTTP_COOKIE": "Cookie", "HTTP_X_STAGEDOOR_TOKEN": "X-Stagedoor-Token", "HTTP_A": "A"}
    environ["headers_raw"] = tuple((name, environ[key]) for key, name in names.items() if key in environ)
    return environ["headers_raw"]


def broken_scope(environ: Environ) -> object:
    environ["asgi.scope"] = {"headers": [environ.get("HTTP_COOKIE"), environ.get("HTTP_X_STAGEDOOR_TOKEN")]}
    return environ["asgi.scope"]


@pytest.mark.parametrize("headers", CARRIED.values(), ids=CARRIED)
@pytest.mark.parametrize(
    "outside",
    [webob_outside, bottle_outside, werkzeug_outside, eventlet_outside, broken_scope],
    ids=lambda f: f.__name__,
)
def test_what_a_layer_outside_has_read_before_holds_no_token(
    outside: Callable[[Environ], object], headers: dict[str, str]
) -> None:
    app = Inner()
    door = opened(app)
    environ = make_environ("/", ALLOWED, {"X-Stagedoor": "ignore", "A": "b"} | headers)
    outside(environ)
    serve(door, environ)
    assert ONE not in app.held
    assert TWO not in app.held
    door.close()


@pytest.mark.parametrize("source", [ALLOWED, OTHER])
@pytest.mark.parametrize("purpose", ["request", "attach"])
@pytest.mark.parametrize("template", ["{}", ' "{}" '])
def test_no_application_sees_a_pass(source: str, purpose: str, template: str) -> None:
    app = Recording()
    door = opened(app)
    made = getattr(make_passes("anna", door.settings.switch.read().token), purpose)  # type: ignore[union-attr]
    for headers in ({"X-Stagedoor-Token": made}, {"Cookie": f"a=b; {NAME}={template.replace('{}', made)}; c=d"}):
        environ = make_environ("/", source, {"X-Stagedoor": "ignore"} | headers)
        response = serve(door, environ)
        assert (response.header is not None) == (source == ALLOWED and purpose == "request")
        assert made not in repr(app.seen.pop())
        assert made not in repr(environ)
        assert environ.get("HTTP_COOKIE", "a=b; c=d") == "a=b; c=d"
    door.close()


# Error trackers

SENTRY = """
import json, sys
from datetime import timedelta
import sentry_sdk
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
from sentry_sdk.transport import Transport
from werkzeug.test import create_environ, run_wsgi_app

class Collecting(Transport):
    def capture_envelope(self, envelope):
        reports.extend(item.payload.json for item in envelope.items)

reports = []
sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", transport=Collecting, send_default_pii=True)
kind, token, source = sys.stdin.read().split()
settings = dict(allow="203.0.113.7", switch="memory", debugger="listen", bind="127.0.0.1:1")

def fail(environ, start_response):
    raise ZeroDivisionError

if kind == "flask":
    import flask
    from stagedoor.integrations.flask import StageDoor
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=lambda: 1 / 0)
    StageDoor(app, **settings)
    door = app.extensions["stagedoor"]
else:
    from stagedoor import StageDoor
    door = StageDoor(SentryWsgiMiddleware(fail) if kind == "inside" else fail, **settings)
    app = SentryWsgiMiddleware(door) if kind == "outside" else door
door.open(timedelta(minutes=5))
headers = {"X-Stagedoor-Token": token, "Cookie": f"a=b; stagedoor_token={token}; c=d", "X-Stagedoor": "ignore"}
for _ in range(30):
    try:
        run_wsgi_app(app, create_environ(headers=headers, environ_overrides={"REMOTE_ADDR": source}))
    except ZeroDivisionError:
        pass
sentry_sdk.flush()
print(json.dumps([each for each in reports if "exception" in each]))
"""


@pytest.mark.parametrize("source", ["203.0.113.7", "203.0.113.9"])
@pytest.mark.parametrize("kind", ["flask", "inside", "outside"])
def test_no_report_of_sentrys_holds_the_token(kind: str, source: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SENTRY],
        input=f"{kind} {ONE} {source}",
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"STAGEDOOR_ALLOW": ""},
    )
    reports = json.loads(done.stdout.splitlines()[-1])
    assert len(reports) == 30
    assert [report["exception"]["values"][0]["type"] for report in reports] == ["ZeroDivisionError"] * 30
    assert ONE not in json.dumps(reports)
    assert "Too many event processors" not in done.stderr
    assert all(report["request"]["headers"]["X-Stagedoor"] == "ignore" for report in reports)
