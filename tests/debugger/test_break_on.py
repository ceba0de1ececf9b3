"""Matching requests that stop at their first line by themselves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from conftest import ServeGated
from stagedoor import ConfigurationError, StageDoor
from stagedoor.request import DIRECTIVE_COOKIE, DIRECTIVE_HEADER, presented
from stagedoor.settings.break_on import parse_break_on
from stagedoor.settings.settings import Settings
from support.servers import ALLOWED, OTHER


def environ(path: str, script_name: str = "") -> dict[str, Any]:
    return {"SCRIPT_NAME": script_name, "PATH_INFO": path.encode().decode("latin-1")}


@pytest.mark.parametrize(
    ("value", "path", "script_name", "stops"),
    [
        pytest.param("/checkout", "/checkout", "", True, id="the path itself"),
        pytest.param("/checkout", "/checkout/pay", "", True, id="a path below it"),
        pytest.param("/checkout", "/checkout/", "", True, id="the path with a slash at its end"),
        pytest.param("/checkout", "/checkouts", "", False, id="a path that only begins with the same letters"),
        pytest.param("/checkout", "/api/checkout", "", False, id="the same segment further down"),
        pytest.param("/checkout", "/Checkout", "", False, id="another case: paths have cases"),
        pytest.param("/checkout/", "/checkout", "", True, id="a prefix with a slash at its end"),
        pytest.param("/checkout/pay", "/checkout", "", False, id="a path above it"),
        pytest.param("/", "/anything", "", True, id="the root means every path"),
        pytest.param("/", "", "", True, id="the root without its slash"),
        pytest.param("/a, /b", "/b/c", "", True, id="one of several in one string"),
        pytest.param(["/a", "/b"], "/b/c", "", True, id="one of several in a list"),
        pytest.param(("/a", "/b"), "/c", "", False, id="none of several"),
        pytest.param("/shop/checkout", "/checkout", "/shop", True, id="from the script's name on, as in a browser"),
        pytest.param("/checkout", "/checkout", "/shop", False, id="not from the application's own root"),
        pytest.param("/café", "/café/bill", "", True, id="letters beyond ASCII, as they are sent"),
        pytest.param(lambda environ: "pay" in environ["PATH_INFO"], "/x/pay", "", True, id="a function that says yes"),
        pytest.param(lambda environ: 0, "/x/pay", "", False, id="a function that says no"),
    ],
)
def test_which_requests_stop(value: object, path: str, script_name: str, stops: bool) -> None:
    stops_at = parse_break_on(value)
    assert stops_at is not None
    assert bool(stops_at(environ(path, script_name))) is stops


@pytest.mark.parametrize("value", ["", " , ", [], ()])
def test_nothing_stops_nothing(value: object) -> None:
    assert parse_break_on(value) is None


async def asynchronous(environ: dict[str, Any]) -> bool:
    return True


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param("checkout", "does not begin with a slash", id="no slash"),
        pytest.param("/a,checkout", "does not begin with a slash", id="the second of two"),
        pytest.param("https://shop.example/checkout", "does not begin with a slash", id="a whole address"),
        pytest.param("/checkout?step=1", "has a query", id="a query"),
        pytest.param("/checkout#top", "has a query or a fragment", id="a fragment"),
        pytest.param("/caf%C3%A9", "is percent-encoded", id="percent-encoding"),
        pytest.param("/checkout/*", "is a pattern", id="a pattern"),
        pytest.param("/a /b", "has characters that are in no path", id="two with a blank between"),
        pytest.param("//checkout", "has an empty segment", id="an empty segment"),
        pytest.param(["/a", 3], "is not the beginning of a path", id="a number in a list"),
        pytest.param(3, "is neither a function nor the beginning of a path", id="a number"),
        pytest.param(b"/checkout", "is neither a function nor the beginning of a path", id="bytes"),
        pytest.param({"/checkout": True}, "is neither a function nor the beginning of a path", id="a dictionary"),
        pytest.param(asynchronous, "is a coroutine function", id="a coroutine function"),
    ],
)
def test_what_no_path_begins_with_is_refused_when_the_application_starts(value: Any, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^break_on=.*{problem}"):
        StageDoor(lambda environ, start_response: [], switch="memory", break_on=value)


def test_the_environment_says_the_same() -> None:
    variables = {"STAGEDOOR_BREAK_ON": "/checkout, /pay"}
    stops_at = Settings.read(switch="memory", environ=variables).break_on
    assert stops_at is not None
    assert stops_at(environ("/pay"))
    with pytest.raises(ConfigurationError, match="STAGEDOOR_BREAK_ON='pay'"):
        Settings.read(switch="memory", environ={"STAGEDOOR_BREAK_ON": "pay"})


def test_a_matching_request_stops_at_its_first_line(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress", STAGEDOOR_BREAK_ON="/view")
    ide = server.ready()
    assert server.get("/hello", ALLOWED).headers["Stagedoor"].endswith("client=attached")
    pending = server.start_get("/view?mine", ALLOWED)
    found = ide.stopped()
    assert found.frame()["name"] == "application"
    assert server.get("/view", OTHER, timeout=5).status == 200
    found.session.step_in(found.thread_id)
    ide.stopped().resume()
    assert pending.answer().body == "total 7 for mine"
    # "ignore" is for this one request, and wins.
    assert server.get("/view", ALLOWED, {"X-Stagedoor": "ignore"}).headers["Stagedoor"].endswith("client=ignored")


def test_a_function_that_fails_stops_nothing_and_is_recorded_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from stagedoor.audit import Audit
    from stagedoor.request import Requests
    from stagedoor.worker.listen import listen_debugger
    from stagedoor.worker.watch import WindowWatch

    def fails(environ: Any) -> bool:
        raise LookupError("no such tenant")

    settings = Settings.read(switch=tmp_path / "window.json", environ={}, break_on=fails)
    audit = Audit()
    watch = WindowWatch(settings.switch, audit)
    requests = Requests(listen_debugger(settings.bind, watch, audit, settings.max_pause), audit, settings.break_on)
    with caplog.at_level(logging.INFO):
        assert [requests.stops_at_entry(environ("/a")) for _ in range(3)] == [False] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "failed: break_on failed with LookupError: no such tenant. It stops no request."
    ]


@pytest.mark.parametrize(
    ("cookies", "directive"),
    [
        pytest.param("stagedoor=ignore", "ignore", id="by itself"),
        pytest.param("stagedoor=ignore; name=Jos\xe9", "ignore", id="before one that is no UTF-8"),
        pytest.param('name=\xff; stagedoor="break"', "break", id="in quotes, after one that is no UTF-8"),
        pytest.param("name=Jos\xe9; mystagedoor=1", None, id="one that only ends like it"),
        pytest.param("name=\xe2\x82\xac; stagedoor=break", "break", id="after one that is UTF-8"),
    ],
)
def test_a_directive_is_read_whatever_else_the_cookies_hold(cookies: str, directive: str | None) -> None:
    """WSGI gives a header's bytes as Latin-1 (PEP 3333), and other applications of the host set cookies as they like."""
    assert presented({"HTTP_COOKIE": cookies}, DIRECTIVE_HEADER, DIRECTIVE_COOKIE) == directive
