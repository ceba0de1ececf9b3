"""Servers of all kinds, each real: whatever is paused, everybody else is served, and what can't be paused says why."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from conftest import ServeGated
from stagedoor.dap.ide import Ide
from support.gatekeepers import GatedServer
from support.needs import below_312, needs, needs_apache, needs_mod_wsgi_6, needs_uwsgi
from support.servers import ALLOWED, OTHER, Answer, Pending
from support.waiting import wait_for


def attached(server: GatedServer) -> Ide:
    """Open a window, and attach an IDE as soon as it can; nothing has to be debugged for that."""
    server.open()
    wait_for(lambda: server.get("/pid", ALLOWED) and os.path.exists(server.control_path), "the gatekeeper to listen")
    server.joined(1)
    return server.ide("view")


def said(answer: Answer) -> str:
    """What the header says; some servers write all headers in small letters."""
    return {name.lower(): value for name, value in answer.headers.items()}["stagedoor"]


def undisturbed(server: GatedServer) -> None:
    """Everybody else is served."""
    for number in range(5):
        assert server.get(f"/view?{number}", OTHER, timeout=5).body == f"total 7 for {number}"


def hit(server: GatedServer, ide: Ide, query: str = "mine") -> Pending:
    """A matching request that is paused, and nobody else is."""
    paused = server.start_get(f"/view?{query}", ALLOWED)
    assert ide.stopped().locals()["query"] == repr(query)
    undisturbed(server)
    assert not paused.done
    return paused


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        pytest.param("waitress", "threads=1", "waitress has one thread here", id="waitress"),
        pytest.param("gunicorn", "workers=1 threads=1", "--threads 8", id="gunicorn, one worker"),
        pytest.param("django", "nothreading", "without --nothreading", id="runserver --nothreading"),
        pytest.param("asgiref", "", "WsgiToAsgi can't have more", id="asgiref", marks=needs("uvicorn")),
        pytest.param("a2wsgi", "workers=1", "a2wsgi: workers=10", id="a2wsgi", marks=needs("a2wsgi")),
        pytest.param("tornado", "", "STAGEDOOR_THREADS", id="Tornado", marks=needs("tornado")),
        pytest.param("bjoern", "", "STAGEDOOR_THREADS", id="bjoern", marks=needs("bjoern")),
        pytest.param("cheroot", "threads=1", "STAGEDOOR_THREADS", id="cheroot", marks=needs("cheroot")),
        pytest.param("granian", "threads=1", "STAGEDOOR_THREADS", id="Granian", marks=needs("granian")),
        pytest.param("apache", "threads=1", "WSGIDaemonProcess threads=5", id="mod_wsgi", marks=needs_apache),
    ],
)
def test_a_server_with_one_thread_is_not_paused_and_header_log_and_console_say_what_helps(
    serve_gated: ServeGated, name: str, options: str, words: str
) -> None:
    server = serve_gated(name, options)
    ide = attached(server)
    # In time: a paused request would be answered after max_pause.
    answer = server.get("/view?mine", ALLOWED, timeout=10)
    assert answer.body == "total 7 for mine"
    assert "client=busy" in said(answer)
    assert words in said(answer)
    undisturbed(server)
    assert words in server.log
    wait_for(lambda: any(words in line for line in ide.console()), "the console to say so")
    for _ in range(3):
        server.get("/view?mine", ALLOWED)
    assert len([line for line in ide.console() if words in line]) == 1


@pytest.mark.parametrize(
    ("name", "options", "configured"),
    [
        pytest.param("cheroot", "threads=4", "2", id="cheroot", marks=needs("cheroot")),
        pytest.param("granian", "threads=4", "2", id="Granian", marks=needs("granian")),
        pytest.param("twisted", "threads=4", "2", id="Twisted", marks=needs("twisted")),
        pytest.param("a2wsgi", "workers=2", "", id="a2wsgi, which tells", marks=needs("a2wsgi")),
        pytest.param("uvicorn", "", "", id="uvicorn, which tells", marks=needs("uvicorn")),
        pytest.param("hypercorn", "threads=2", "", id="Hypercorn, which tells", marks=needs("hypercorn")),
        pytest.param("tornado", "threads=2", "", id="Tornado with an executor", marks=needs("tornado")),
        pytest.param("apache", "threads=2", "", id="mod_wsgi's daemon", marks=needs_apache),
        pytest.param("apache", "embedded", "", id="mod_wsgi, embedded", marks=needs_apache),
    ],
)
def test_a_server_whose_threads_are_known_or_configured_keeps_one_for_the_others(
    serve_gated: ServeGated, name: str, options: str, configured: str
) -> None:
    server = serve_gated(name, options, **({"STAGEDOOR_THREADS": configured} if configured else {}))
    ide = attached(server)
    paused = [hit(server, ide)]
    if name not in ("uvicorn", "apache") or options == "threads=2":
        # It has two, or says so: the second one runs on, and so does everybody.
        second = server.get("/view?second", ALLOWED, timeout=10)
        assert second.body == "total 7 for second"
        assert "client=busy" in said(second)
        undisturbed(server)
    server.switch.close()
    assert [each.answer(timeout=5).body for each in paused] == ["total 7 for mine"]
    server.wait_until_gone(timeout=5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("cheroot", "threads=4", id="cheroot", marks=needs("cheroot")),
        pytest.param("granian", "threads=4", id="Granian", marks=needs("granian")),
    ],
)
def test_threads_that_were_seen_are_believed(serve_gated: ServeGated, tmp_path: Path, name: str, options: str) -> None:
    server = serve_gated(name, options)
    ide = attached(server)
    assert "STAGEDOOR_THREADS" in said(server.get("/view?alone", ALLOWED))
    run = tmp_path / "run"
    visitor = server.start_get(f"/slow?{run}", OTHER)
    wait_for(lambda: list(tmp_path.glob("run-begun-*")), "a visitor's request to be inside")
    paused = hit(server, ide)
    run.touch()
    assert visitor.answer().body == "True"
    second = server.get("/view?second", ALLOWED, timeout=10)
    assert second.body == "total 7 for second"
    server.switch.close()
    assert paused.answer(timeout=5).body == "total 7 for mine"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        pytest.param("gevent_unpatched", "", "gevent serves this request", id="gevent's own server"),
        pytest.param("eventlet_unpatched", "", "eventlet serves this request", id="eventlet's own server"),
        pytest.param("uwsgi", "gevent=10 processes=2 enable-threads", "gevent", id="uWSGI", marks=needs_uwsgi),
        pytest.param("werkzeug", "processes=3", "a process for each request", id="a fork for each request"),
        pytest.param(
            "apache", "threads=5 subinterpreter", "WSGIApplicationGroup", id="daemon", marks=(needs_apache, below_312)
        ),
        pytest.param("apache", "embedded subinterpreter", "%{GLOBAL}", id="embedded", marks=(needs_apache, below_312)),
        pytest.param(
            "apache", "threads=5 package", "mod_wsgi 6", id="mod_wsgi 6's daemon", marks=(needs_mod_wsgi_6, below_312)
        ),
    ],
)
def test_what_a_pause_would_stop_or_kill_is_refused_before_a_debugger_is_loaded(
    serve_gated: ServeGated, name: str, options: str, words: str
) -> None:
    server = serve_gated(name, options)
    server.open()
    for number in range(12):
        answer = server.get(f"/view?{number}", ALLOWED, timeout=10)
        assert answer.body == f"total 7 for {number}"
        assert "busy" in said(answer)
        assert words in said(answer)
    assert words in server.log
    assert not server.gatekeepers()
    report = server.report()
    assert not report["debugpy_loaded"]
    assert not any("stagedoor" in thread for thread in report["threads"])


@pytest.mark.parametrize(
    ("name", "options", "option"),
    [
        pytest.param("uwsgi", "processes=1 threads=4 harakiri=6", "6 s (harakiri)", id="uWSGI", marks=needs_uwsgi),
        pytest.param(
            "apache", "threads=4 request-timeout=4", " s (request-timeout=4)", id="mod_wsgi", marks=needs_apache
        ),
    ],
)
def test_a_pause_ends_before_the_server_kills_its_worker(
    serve_gated: ServeGated, name: str, options: str, option: str
) -> None:
    server = serve_gated(name, options)
    ide = attached(server)
    worker = server.get("/pid").body
    started = time.monotonic()
    paused = server.start_get("/view?mine", ALLOWED)
    ide.stopped()
    assert option in server.log
    wait_for(lambda: any(option in line for line in ide.console()), "the console to say what the server kills")
    undisturbed(server)
    # "work" is called by it: a line that comes later does not pause it anew.
    assert paused.answer(timeout=10).body == "total 7 for mine"
    assert time.monotonic() - started > 1.5
    wait_for(lambda: any("was continued before" in line for line in ide.console()), "the console to say why")
    # As long as the server would have waited: it has not killed it.
    wait_for(lambda: time.monotonic() - started > 11, "the server's patience to be over", every=0.2)
    assert server.get("/pid").body == worker
    assert not re.search(r"HARAKIRI|request-timeout.*stopping|timer expired", server.log)
