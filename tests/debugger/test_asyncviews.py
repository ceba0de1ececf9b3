"""``async def`` views under asgiref: a request is one, whichever of its threads its code runs on."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import asgiref
import pytest
from asgiref.sync import AsyncToSync, SyncToAsync, async_to_sync, sync_to_async

from conftest import OpenSite
from stagedoor.dap.ide import Ide, Stop
from support import async_views
from support.async_views import view
from support.servers import ALLOWED, OTHER, is_listening
from support.sites import Site, served
from support.stage import Response, Stage, make_environ, serve, unfinished
from support.waiting import wait_for

FLASK = pytest.param(("async_flask", "gunicorn"), id="Flask under gunicorn")
FLASK_UNDER_WAITRESS = pytest.param(("async_flask", "waitress"), id="Flask under waitress")
DJANGO = pytest.param(("async_django", "gunicorn"), id="Django under gunicorn")
FLASK_UNDER_UVICORN = pytest.param(("async_flask", "uvicorn"), id="Flask under uvicorn's threads")
DJANGO_UNDER_WAITRESS = pytest.param(("async_django", "waitress"), id="Django under waitress")
EVERYWHERE = (FLASK, FLASK_UNDER_WAITRESS, DJANGO, DJANGO_UNDER_WAITRESS)


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    yield shared_site
    shared_site.detach()


Stops = Callable[..., Ide]


@pytest.fixture
def stops(site: Site) -> Stops:
    """Attaches an IDE that stops at these lines."""

    def attach(*names: str, filters: tuple[str, ...] = ()) -> Ide:
        return site.attached(*filters, breakpoints={str(site.source): [site.line(name) for name in names]})

    return attach


def place(site: Site, stop: Stop) -> tuple[str, int]:
    frame = stop.frame()
    return frame["source"]["path"], frame["line"]


def at(site: Site, name: str) -> tuple[str, int]:
    return str(site.source), site.line(name)


def entry(site: Site) -> tuple[str, int]:
    """The first line of the user's code that serves a request to ``/view``: a coroutine's as well."""
    file = site.source.with_name(f"{site.site}_site.py")
    return str(file), site.line("entry", file)


def step(stop: Stop, command: str = "next") -> None:
    stop.session.request(command, {"threadId": stop.thread_id})


@served(*EVERYWHERE, FLASK_UNDER_UVICORN)
@pytest.mark.parametrize(
    ("path", "names", "body"),
    [
        pytest.param("/view", ["after an await"], "view 3", id="behind an await"),
        pytest.param("/gather", ["branch"] * 3, "gather [10, 20, 30]", id="in coroutines that run beside each other"),
        pytest.param("/back", ["half"], "back 4", id="in a function that it passes back to the request's thread"),
        pytest.param("/elsewhere", ["half"], "elsewhere 4", id="in a function that it passes to another thread"),
        pytest.param("/helper", ["half"], "helper 4", id="in a helper thread that is made with traced()"),
        pytest.param("/nested", ["innermost", "between"], "nested 7", id="in a coroutine of such a function"),
        pytest.param("/named", ["named"], "named inside", id="in a named traced(), once"),
    ],
)
def test_a_breakpoint_stops_an_async_view(site: Site, stops: Stops, path: str, names: list[str], body: str) -> None:
    ide = stops(*set(names))
    answer = site.start_get(path)
    for name in names:
        stop = ide.stopped()
        assert place(site, stop) == at(site, name)
        assert site.get(path, OTHER).body == body
        stop.resume()
    assert answer.answer().body == body
    assert "client=attached" in answer.answer().headers["Stagedoor"]


@served(FLASK)
def test_a_job_that_a_coroutine_makes_belongs_to_the_request_and_outlives_the_coroutine(
    site: Site, stops: Stops
) -> None:
    ide = stops("half")
    answer = site.start_get("/kept")
    stop = ide.stopped()
    assert place(site, stop) == at(site, "half")
    stop.resume()
    assert answer.answer().body == "kept 4"


@served(DJANGO)
def test_a_breakpoint_stops_an_async_generator_that_is_a_body(site: Site, stops: Stops) -> None:
    ide = stops("block")
    answer = site.start_get("/stream")
    stop = ide.stopped()
    assert place(site, stop) == at(site, "block")
    assert site.get("/stream", OTHER).body == "first second"
    stop.resume()
    assert answer.answer().body == "first second"


@served(*EVERYWHERE)
def test_a_step_survives_an_await(site: Site, stops: Stops) -> None:
    ide = stops("after an await")
    answer = site.start_get("/view")
    stop = ide.stopped()
    for name in ("at an await", "behind it", "last"):
        step(stop)
        stop = ide.stopped()
        assert place(site, stop) == at(site, name)
    stop.resume()
    assert answer.answer().body == "view 3"


@served(FLASK, DJANGO)
def test_a_step_goes_from_thread_to_thread(site: Site, stops: Stops) -> None:
    ide = stops("call")
    answer = site.start_get("/nested")
    seen = []
    while not seen or seen[-1] != at(site, "behind them"):
        stop = ide.stopped()
        seen.append(place(site, stop))
        step(stop, "stepIn" if len(seen) == 1 else "continue" if seen[-1] == at(site, "behind them") else "next")
    # A return may stop at the line of the call once more, before the one behind it.
    wanted = [at(site, name) for name in ("call", "within", "innermost", "between", "behind them")]
    assert [each for each in seen if each in wanted] == wanted
    assert answer.answer().body == "nested 7"


@served(*EVERYWHERE)
def test_break_stops_at_the_first_line_of_the_async_view(site: Site, stops: Stops) -> None:
    ide = stops()
    answer = site.start_get("/view", headers={"X-Stagedoor": "break"})
    stop = ide.stopped()
    assert site.get("/view", OTHER).body == "view 3"
    assert place(site, stop) == entry(site)
    stop.resume()
    assert answer.answer().body == "view 3"  # And no second stop, on the thread that has waited.


@served(*EVERYWHERE)
@pytest.mark.parametrize("filters", [("uncaught",), ("uncaught", "userUnhandled")], ids=" and ".join)
def test_an_error_in_an_async_view_stops_once_on_its_line(site: Site, stops: Stops, filters: tuple[str, ...]) -> None:
    ide = stops(filters=filters)
    answer = site.start_get("/fail")
    stop = ide.stopped()
    assert (place(site, stop), stop.reason) == (at(site, "fail"), "exception")
    assert stop.locals()["fruit"] == "'pears'"
    assert site.get("/fail", OTHER).status == 500
    stop.resume()
    assert answer.answer().status == 500


@served(*EVERYWHERE)
def test_visitors_of_the_same_async_view_go_on_while_one_is_paused(site: Site, stops: Stops) -> None:
    ide = stops("after an await", "named", "branch", "half")
    bodies = {
        "/view": "view 3",
        "/named": "named inside",
        "/gather": "gather [10, 20, 30]",
        "/elsewhere": "elsewhere 4",
    }
    answers = [site.start_get(path) for path in ("/view", "/named")]
    found = [ide.stopped(), ide.stopped()]
    # So many that every thread of the server's has served some, those too on which a request was debugged before.
    with ThreadPoolExecutor(6) as visitors:
        for path, answer in [(path, visitors.submit(site.get, path, OTHER)) for path in [*bodies] * 8]:
            assert answer.result(10).body == bodies[path]
    assert site.log.count("paused: ") - site.log.count("resumed: ") == 2
    assert site.report()["global_events"] == 0  # What nobody else's code is slower for.
    for stop in found:
        stop.resume()
    assert [answer.answer().body for answer in answers] == ["view 3", "named inside"]


@served(FLASK, DJANGO_UNDER_WAITRESS)
def test_a_client_that_hangs_up_leaves_nothing_behind(site: Site, stops: Stops) -> None:
    ide = stops("after an await")
    with closing(socket.create_connection((site.host, site.port), 5, (ALLOWED, 0))) as connection:
        connection.sendall(b"GET /view HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stop = ide.stopped()
    assert site.get("/view", OTHER).body == "view 3"
    stop.resume()
    wait_for(lambda: site.get("/loops", OTHER).body == "0", "the request's loop to end")
    for _ in range(10):
        assert site.get("/view", OTHER).body == "view 3"
    answer = site.start_get("/view")
    ide.stopped().resume()
    assert answer.answer().body == "view 3"


@served(FLASK, DJANGO_UNDER_WAITRESS)
@pytest.mark.parametrize(
    ("path", "name", "bodies"),
    [
        pytest.param("/to_thread", "half", ["to_thread 4 4"] * 2, id="on a thread without traced()"),
        pytest.param("/leave_behind", "outlive", ["left behind 0", "left behind 1"], id="in a task that outlives it"),
    ],
)
def test_what_an_async_view_gives_away_or_leaves_behind_is_not_debugged(
    site: Site, stops: Stops, path: str, name: str, bodies: list[str]
) -> None:
    stops(name)
    for body in bodies:
        answer = site.get(path, ALLOWED)
        assert answer.body == body
        assert "client=attached" in answer.headers["Stagedoor"]


def test_break_on_stops_at_the_first_line_of_the_async_view(own_site: OpenSite) -> None:
    site = own_site("async_django", "gunicorn", STAGEDOOR_BREAK_ON="/view")
    ide = site.attached()
    answer = site.start_get("/view")
    stop = ide.stopped()
    assert place(site, stop) == entry(site)
    stop.resume()
    assert answer.answer().body == "view 3"


def test_an_async_view_takes_one_of_the_pauses_that_may_be(own_site: OpenSite) -> None:
    site = own_site("async_flask", "gunicorn", options="threads=2")
    ide = site.attached(breakpoints={str(site.source): [site.line("after an await")]})
    answer = site.start_get("/view")
    stop = ide.stopped()
    other = site.get("/view", ALLOWED)
    assert (other.body, "client=busy" in other.headers["Stagedoor"]) == ("view 3", True)
    assert site.get("/view", OTHER).body == "view 3"
    stop.resume()
    assert answer.answer().body == "view 3"


def test_an_async_view_that_is_paused_too_long_runs_on(own_site: OpenSite) -> None:
    site = own_site("async_flask", "gunicorn", STAGEDOOR_MAX_PAUSE="1s")
    ide = site.attached(breakpoints={str(site.source): [site.line("after an await")]})
    answer = site.start_get("/view")
    ide.stopped()
    assert answer.answer().body == "view 3"


def test_two_paused_threads_of_one_request_are_one_pause(own_site: OpenSite) -> None:
    site = own_site("async_flask", "gunicorn", options="threads=2")
    ide = site.attached(breakpoints={str(site.source): [site.line("half"), site.line("branch")]})
    answer = site.start_get("/both")
    found = [ide.stopped(), ide.stopped()]
    assert sorted(place(site, stop) for stop in found) == sorted([at(site, "half"), at(site, "branch")])
    assert "client=busy" in site.get("/hello", ALLOWED).headers["Stagedoor"]
    for stop in found:
        stop.resume()
    assert answer.answer().body == "both [4, 10]"


@pytest.mark.parametrize("framework", ["async_flask", "async_django"])
def test_the_window_s_end_continues_a_paused_async_view(own_site: OpenSite, framework: str) -> None:
    site = own_site(framework, "gunicorn")
    ide = site.attached(breakpoints={str(site.source): [site.line("after an await")]})
    for _ in range(2):
        answer = site.start_get("/view")
        ide.stopped()
        site.switch.close()
        assert answer.answer(3).body == "view 3"
        wait_for(lambda: not site.gatekeepers() and "Stagedoor" not in site.get("/view", ALLOWED).headers, "its end")
        site.detach()
        site.start_window()
        ide = site.attached(breakpoints={str(site.source): [site.line("after an await")]})


def test_below_an_asgi_server_s_own_loop_nothing_is_paused_and_the_header_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path, "async_flask", "asgiref")
    try:
        site.open()
        wait_for(lambda: "client=" in said(site), "the server to notice the window")
        if wait_for(lambda: "busy" in said(site) or is_listening(site.debug_port), "the gatekeeper to listen"):
            with suppress(OSError):  # Where the server is refused altogether, there is no port.
                site.attached("uncaught", breakpoints={str(site.source): [site.line("after an await")]})
        wait_for(lambda: "client=busy; reason=" in said(site), "the header to say why nothing is paused")
        assert site.get("/view", OTHER).body == "view 3"
        assert "paused: " not in site.log
    finally:
        site.stop()
        print(site.log)


def said(site: Site) -> str:
    """What the header of a matching request to an async view says, which is to stop at its first line."""
    answer = site.get("/view", ALLOWED, headers={"X-Stagedoor": "break"})
    assert answer.body == "view 3"
    return answer.headers.get("Stagedoor", "")


def test_asgiref_is_followed_when_the_request_that_is_debugged_loads_it(own_site: OpenSite) -> None:
    site = own_site("late", "gunicorn")
    ide = site.attached(breakpoints={str(site.source): [site.line("late")]})
    assert site.get("/loaded", OTHER).body == "False"
    for _ in range(2):
        answer = site.start_get("/late")
        stop = ide.stopped()
        assert site.get("/late", OTHER).body == "late 1"
        stop.resume()
        assert answer.answer().body == "late 1"


def test_an_asgiref_that_is_built_otherwise_is_left_alone_and_the_header_says_so(
    own_site: OpenSite, tmp_path: Path
) -> None:
    package = Path(asgiref.__file__).parent
    shutil.copytree(package, tmp_path / "otherwise" / "asgiref")
    module = tmp_path / "otherwise" / "asgiref" / "sync.py"
    module.write_text(module.read_text().replace("main_wrap", "main_wrapper"))
    site = own_site("async_django", "gunicorn", PYTHONPATH=str(tmp_path / "otherwise"))
    with site.ide(breakpoints={str(site.source): [site.line("after an await"), site.line("sync")]}) as ide:
        answer = site.get("/view", ALLOWED)
        assert answer.body == "view 3"
        assert f'busy; reason="asgiref {asgiref.__version__} is not built as' in answer.headers["Stagedoor"]
        wait_for(lambda: any("asgiref" in line for line in console(ide)), "the console to say so")
        pending = site.start_get("/sync")
        ide.stopped().resume()
        assert "client=attached" in pending.answer().headers["Stagedoor"]


def console(ide: Ide) -> list[str]:
    """What the debug console has shown."""
    return [event["body"]["output"] for event in ide.session.events if event["event"] == "output"]


# In this process


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    body = async_to_sync(view)().encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_on_a_loop_with_other_tasks_nothing_is_paused_and_afterwards_asgiref_is_what_it_was() -> None:
    before = vars(AsyncToSync)["main_wrap"], vars(SyncToAsync)["thread_handler"], list(sys.meta_path)
    stage = Stage(application)
    try:
        client = stage.armed()
        lines = [
            line
            for line, text in enumerate(Path(async_views.__file__).read_text().splitlines(), 1)
            if "# stop: after" in text
        ]
        client.request(
            "setBreakpoints",
            {"source": {"path": async_views.__file__}, "breakpoints": [{"line": line} for line in lines]},
        )

        async def on_a_loop_with_others() -> Response:
            other = asyncio.create_task(asyncio.sleep(3600))
            response = await sync_to_async(serve, thread_sensitive=False)(stage.door, make_environ("/view"))
            other.cancel()
            return response

        response = asyncio.run(on_a_loop_with_others())
        assert response.text == "view 3"
        assert 'client=busy; reason="Its async code runs on an event loop that serves others' in str(response.header)
        pending = stage.workers[0].start_get("/view")
        client.resume(client.wait_event("stopped")["threadId"])
        assert "client=attached" in str(pending.result(10).header)
        assert unfinished() == []
    finally:
        stage.stop()
    assert (vars(AsyncToSync)["main_wrap"], vars(SyncToAsync)["thread_handler"], list(sys.meta_path)) == before
