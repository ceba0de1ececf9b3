"""Flask and Django with debug mode off: a matching request stops on the line that failed, and nothing else changes."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

import stagedoor
from conftest import OpenSite
from stagedoor.dap.ide import Ide
from support.servers import ALLOWED, OTHER
from support.sites import Site, served
from support.waiting import wait_for

FLASK_UNDER_GUNICORN = pytest.param(("flask", "gunicorn"), id="Flask under gunicorn")
FLASK = pytest.param(("flask", "waitress"), id="Flask under waitress")
DJANGO_UNDER_GUNICORN = pytest.param(("django", "gunicorn"), id="Django under gunicorn")
DJANGO = pytest.param(("django", "waitress"), id="Django under waitress")


@pytest.fixture
def ide(site: Site) -> Ide:
    return site.attached("uncaught")


@served(FLASK, FLASK_UNDER_GUNICORN, DJANGO, DJANGO_UNDER_GUNICORN)
@pytest.mark.parametrize(
    ("path", "stop", "variables"),
    [
        pytest.param("/view", "view", {"cart": "{'apples': 3}"}, id="in the view"),
        pytest.param("/library", "library", {"text": "'{ half'"}, id="in a library that the view calls"),
        pytest.param("/before?wanted=me", "before", {"wanted": "'me'"}, id="before the view"),
        pytest.param("/stream", "stream", {"sold": "1"}, id="while the body is streamed"),
        pytest.param("/close", "close", {"left": "'the door'"}, id="in close()"),
        pytest.param("/chained", "chained", {"reason": "'chained'"}, id="with a cause"),
        pytest.param("/grouped", "grouped", {"several": "[ValueError('one'), ValueError('two')]"}, id="in a group"),
    ],
)
def test_an_error_stops_once_on_its_line_and_the_response_stays_what_it_was(
    site: Site, ide: Ide, path: str, stop: str, variables: dict[str, str]
) -> None:
    answer = site.start_raw(path)
    found = ide.stopped()
    frame = found.frame()
    assert (frame["source"]["path"], frame["line"]) == (str(site.source), site.line(stop))
    assert found.reason == "exception"
    assert variables.items() <= found.locals().items()
    assert not answer.done()
    found.resume()
    assert answer.result(20) == site.plain.raw(path)


@served(FLASK, DJANGO)
def test_an_error_in_a_template_stops_too(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/template")
    found = ide.stopped()
    stack = found.session.stack(found.thread_id)
    frames = [(frame["source"]["path"].rpartition("/")[2], frame["line"]) for frame in stack]
    # All locals would include Flask's session, which then counts as used: the response would say "Vary: Cookie".
    if site.site == "flask":
        assert frames[:2] == [("broken.html", 2), (site.source.name, site.line("template"))]
        assert found.session.evaluate("basket", stack[0]["id"], "watch") == "None"
    else:
        assert frames[0] == (site.source.name, site.line("template"))
        assert found.session.evaluate("fruit", stack[0]["id"], "watch") == "'pears'"
    found.resume()
    assert answer.result(20) == site.plain.raw("/template")


@served(FLASK)
def test_an_error_that_a_handler_swallows_stops_where_the_handler_says_so(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/swallowed")
    found = ide.stopped()
    assert found.frame()["line"] == site.line("swallowed")
    found.resume()
    assert answer.result(20) == site.plain.raw("/swallowed")


@served(FLASK)
def test_an_error_that_a_handler_answers_without_a_word_does_not_stop(site: Site, ide: Ide) -> None:
    answer = site.get("/answered", ALLOWED)
    assert (answer.status, answer.body) == (500, "answered")
    assert answer.headers["Stagedoor"].endswith("client=attached")


@served(FLASK)
def test_an_error_without_a_line_of_the_users_code_stops_only_without_just_my_code(site: Site) -> None:
    site.attached("uncaught")
    assert site.get("/nothing", ALLOWED).headers["Stagedoor"].endswith("client=attached")
    ide = site.attached("uncaught", arguments={"justMyCode": False})
    answer = site.start_raw("/nothing")
    found = ide.stopped()
    assert found.reason == "exception"
    assert site.source.name not in found.frame()["source"]["path"]
    found.resume()
    assert answer.result(20) == site.plain.raw("/nothing")


@served(FLASK)
def test_looking_at_the_locals_of_a_template_of_flasks_touches_its_session(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/template")
    found = ide.stopped()
    assert "session" in found.locals()
    found.resume()
    assert answer.result(20) != site.plain.raw("/template")
    assert without_vary(answer.result()) == site.plain.raw("/template")


def without_vary(response: bytes) -> bytes:
    return response.replace(b"Vary: Cookie\r\n", b"")


@served(FLASK)
def test_the_ide_can_ask_what_the_error_is(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/view")
    found = ide.stopped()
    asked = found.session.request("exceptionInfo", {"threadId": found.thread_id})
    assert (asked["exceptionId"], asked["description"]) == ("KeyError", "'pears'")
    assert "flask_site.py" in asked["details"]["stackTrace"]
    found.resume()
    answer.result(20)


@served(FLASK)
@pytest.mark.parametrize("step", ["next", "stepIn", "stepOut"])
def test_a_step_from_an_error_lets_the_request_run_on(site: Site, ide: Ide, step: str) -> None:
    answer = site.start_raw("/view")
    found = ide.stopped()
    found.session.request(step, {"threadId": found.thread_id})
    assert answer.result(20) == site.plain.raw("/view")
    assert site.get("/view", OTHER, timeout=5).status == 500


@served(FLASK, DJANGO_UNDER_GUNICORN)
def test_many_that_fail_at_once_stop_once_each_and_go_on_in_any_order(site: Site, ide: Ide) -> None:
    answers = [site.start_raw("/view") for _ in range(4)]
    stops = [ide.stopped() for _ in answers]
    assert len({found.thread_id for found in stops}) == 4
    assert {site.get("/view", OTHER).status for _ in range(10)} == {500}
    for left, found in zip((3, 2, 1, 0), reversed(stops), strict=True):
        found.resume()
        wait_for(lambda left=left: sum(not answer.done() for answer in answers) == left, "one more answer")
    assert {answer.result() for answer in answers} == {site.plain.raw("/view")}


@served(FLASK)
def test_the_pause_is_recorded_with_the_line_that_failed_not_that_of_the_clean_up(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/cleanup")
    found = ide.stopped()
    assert found.frame()["line"] == site.line("cleanup")
    found.resume()
    answer.result(20)
    assert f"paused: GET /cleanup at {site.source}:{site.line('cleanup')}\n" in site.log
    assert "resumed: GET /cleanup after" in site.log


@served(FLASK_UNDER_GUNICORN, DJANGO)
def test_others_that_fail_at_the_same_moment_are_neither_stopped_nor_slowed(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/view")
    found = ide.stopped()
    others = [site.get("/view", OTHER, timeout=5) for _ in range(20)]
    assert {other.status for other in others} == {500}
    assert not answer.done()
    assert site.status()["workers"][0]["paused"][0]["request"] == "GET /view"
    assert len(site.status()["workers"][0]["paused"]) == 1
    found.resume()
    answer.result(20)


@served(FLASK)
@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.settrace belongs to its thread by itself")
def test_no_event_is_on_while_the_request_is_paused(site: Site, ide: Ide) -> None:
    answer = site.start_raw("/view")
    found = ide.stopped()
    assert site.report()["global_events"] == 0
    found.resume()
    answer.result(20)


@served(FLASK, DJANGO)
def test_an_error_that_the_application_handles_does_not_stop(site: Site, ide: Ide) -> None:
    for path, status in [("/missing", 404)] + [("/handled", 418)] * (site.site == "flask"):
        answer = site.get(path, ALLOWED)
        assert answer.status == status
        assert answer.headers["Stagedoor"].endswith("client=attached")


@served(FLASK, DJANGO)
def test_a_client_that_does_not_stop_on_uncaught_exceptions_sees_none(site: Site) -> None:
    site.attached()
    answer = site.get("/view", ALLOWED)
    assert answer.status == 500
    assert answer.headers["Stagedoor"].endswith("client=attached")


@served(FLASK, DJANGO)
def test_an_error_that_stopped_when_it_was_raised_does_not_stop_again(site: Site) -> None:
    ide = site.attached("raised", "uncaught")
    answer = site.start_raw("/grouped")
    found = ide.stopped()
    assert found.frame()["line"] == site.line("grouped")
    found.resume()
    answer.result(20)
    site.detach()


@served(FLASK, DJANGO_UNDER_GUNICORN)
def test_the_window_ends_while_an_error_is_paused(site: Site) -> None:
    for _ in range(2):
        ide = site.attached("uncaught")
        answer = site.start_raw("/view")
        ide.stopped()
        site.switch.close()
        assert answer.result(5) == site.plain.raw("/view")
        site.detach()
        site.noticed("closed")
        site.wait_until_gone(timeout=5)
        site.start_window()


@served(FLASK, DJANGO)
def test_the_session_is_what_it_is_without_stagedoor(site: Site, ide: Ide) -> None:
    """It is signed with the time, so what it holds is compared, not its bytes."""

    def visit(server: Site, *, stops: bool) -> list[str]:
        cookies: dict[str, str] = {}
        bodies = []
        for path in ("/session", "/session?fail", "/session"):
            pending = server.start_get(path, ALLOWED, {"Cookie": "; ".join(f"{k}={v}" for k, v in cookies.items())})
            if stops and "fail" in path:
                found = ide.stopped()
                assert found.frame()["line"] == site.line("session")
                found.resume()
            answer = pending.answer()
            if "Set-Cookie" in answer.headers:
                name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
                cookies[name] = value
            bodies.append(answer.body)
        return bodies

    assert visit(site, stops=True) == visit(site.plain, stops=False)


@served(DJANGO)
def test_a_transaction_whose_error_is_paused_rolls_back_and_locks_nobody_out(site: Site, ide: Ide) -> None:
    before = int(site.get("/notes").body)
    answer = site.start_raw("/write?fail")
    found = ide.stopped()
    for _ in range(100):
        assert site.get("/write", OTHER, timeout=5).body == "written"  # A lock would be waited for for 20 s.
    assert not answer.done()
    found.resume()
    assert answer.result(20) == site.plain.raw("/write?fail")
    assert int(site.get("/notes").body) == before + 100


@pytest.mark.parametrize("error", [ValueError("mine"), None, "no exception"])
def test_outside_of_a_matching_request_nothing_happens(error: Any) -> None:
    stagedoor.stop_on_exception(error)


# What takes a server of its own.


def test_an_exception_that_flask_lets_through_stops_once(own_site: OpenSite) -> None:
    site = own_site("flask", STAGEDOOR_TESTS_PROPAGATE="1")
    ide = site.attached("uncaught")
    for path, stop in (("/view", "view"), ("/wrapped", "wrapped")):
        answer = site.start_raw(path)
        found = ide.stopped()
        # Raised again: pydevd shows where it came from, and lists the frame that raised it again below.
        lines = [frame["line"] for frame in found.session.stack(found.thread_id)]
        assert site.line(stop) in lines
        found.resume()
        assert answer.result(20).startswith(b"HTTP/1.1 500")


def test_one_thread_is_left_to_the_others(own_site: OpenSite) -> None:
    site = own_site("flask", "gunicorn", options="threads=2")
    ide = site.attached("uncaught")
    answer = site.start_raw("/view")
    found = ide.stopped()
    second = site.get("/view", ALLOWED)
    assert second.status == 500
    assert second.headers["Stagedoor"].endswith('may be"')
    found.resume()
    answer.result(20)


@pytest.mark.parametrize("framework", ["flask", "django"])
def test_sentry_is_told_once_of_each_error(own_site: OpenSite, framework: str) -> None:
    site = own_site(framework, STAGEDOOR_TESTS_SENTRY="1")
    ide = site.attached("uncaught")
    reported: list[str] = []
    for path, error in [("/view", "KeyError"), ("/stream", "ZeroDivisionError")]:
        answer = site.start_raw(path)
        found = ide.stopped()
        assert json.loads(site.get("/events").body) in (reported, [*reported, error])
        found.resume()
        answer.result(20)
        reported.append(error)
        wait_for(lambda: json.loads(site.get("/events").body) == reported, "Sentry to be told")
    site.get("/view", OTHER)
    assert json.loads(site.get("/events").body) == [*reported, "KeyError"]


def test_the_listen_back_end_stops_on_errors_as_well(tmp_path_factory: pytest.TempPathFactory) -> None:
    site = Site(tmp_path_factory.mktemp("site"), "flask", STAGEDOOR_DEBUGGER="listen")
    try:
        site.open()
        site.noticed()
        client = site.attach(exception_filters=("uncaught",))
        answer = site.start_raw("/view")
        stop = client.stopped()
        frame = client.stack(stop["threadId"])[0]
        assert (frame["name"], frame["line"]) == ("view", site.line("view"))
        client.resume(stop["threadId"])
        assert answer.result(20) == site.plain.raw("/view")
    finally:
        site.stop()
