"""What is known of the server around a request: asked for inside of real servers, and what is decided from it."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Serve
from stagedoor.errors import ConfigurationError, DebuggerError
from stagedoor.settings.settings import Settings
from stagedoor.worker.interpreter import python_executable
from stagedoor.worker.preflight import danger, refusal
from stagedoor.worker.servers import A_THREAD_EACH, Process, Server, pauses
from stagedoor.worker.servers.embedding import request_timeout
from support.needs import below_312, needs, needs_apache, needs_mod_wsgi_6, needs_uwsgi


def known(serve: Serve, server: str, options: str, tmp_path: Path, path: str = "/") -> dict[str, Any]:
    """What Stagedoor knows of a real server."""
    settings = {"STAGEDOOR_TESTS_BARE": "1", "STAGEDOOR_TESTS_OPTIONS": options, "XDG_RUNTIME_DIR": str(tmp_path)}
    started = serve(server, app="support.surroundings:application", **settings)
    answer = started.get(path)
    os.killpg(started.process.pid, signal.SIGKILL)  # Some take their time when they are asked to end.
    return dict(json.loads(answer.body))


UNKNOWN, EACH = None, "each"


@pytest.mark.parametrize(
    ("server", "options", "threads", "limit", "says"),
    [
        pytest.param("gunicorn", "workers=1 threads=4", 4, 3, "T/F", id="gunicorn with threads"),
        pytest.param("gunicorn", "workers=2 threads=1 worker_class=sync", 1, 1, "F/T", id="gunicorn's sync workers"),
        pytest.param("gunicorn", "workers=2 threads=1", 1, 1, "T/T", id="gunicorn, several workers of one thread"),
        pytest.param("gunicorn", "workers=1 threads=1", 1, 0, "T/F", id="gunicorn, one worker of one thread"),
        pytest.param("waitress", "threads=6", 6, 5, "T/F", id="waitress"),
        pytest.param("waitress", "threads=1", 1, 0, "T/F", id="waitress with one thread"),
        pytest.param("werkzeug", "", EACH, EACH, "T/F", id="werkzeug has as many threads as it needs"),
        pytest.param("werkzeug", "nothreading", 1, 0, "F/F", id="werkzeug without threads"),
        pytest.param("django", "", EACH, EACH, "T/F", id="runserver"),
        pytest.param("django", "nothreading", 1, 0, "T/F", id="runserver --nothreading"),
        pytest.param("uwsgi", "processes=2 threads=3", 3, 2, "T/T", id="uWSGI with threads", marks=needs_uwsgi),
        pytest.param("uwsgi", "processes=2 enable-threads", 1, 1, "F/T", id="uWSGI's processes", marks=needs_uwsgi),
        pytest.param("uwsgi", "enable-threads", 1, 0, "F/F", id="uWSGI, one of one thread", marks=needs_uwsgi),
        pytest.param("apache", "threads=5", 5, 4, "T/F", id="mod_wsgi's daemon", marks=needs_apache),
        pytest.param("apache", "threads=1", 1, 0, "F/F", id="mod_wsgi's daemon, one thread", marks=needs_apache),
        pytest.param("apache", "threads=1 processes=1", 1, 0, "F/T", id="the same, processes=1", marks=needs_apache),
        pytest.param("apache", "threads=1 processes=2", 1, 1, "F/T", id="mod_wsgi's processes", marks=needs_apache),
        pytest.param("apache", "embedded", 8, 7, "T/F", id="mod_wsgi, embedded", marks=needs_apache),
        pytest.param("asgiref", "", 1, 0, "T/T", id="asgiref", marks=needs("uvicorn")),
        pytest.param("a2wsgi", "workers=6", 6, 5, "T/T", id="a2wsgi", marks=needs("a2wsgi")),
        pytest.param("a2wsgi", "workers=1", 1, 0, "T/T", id="a2wsgi with one worker", marks=needs("a2wsgi")),
        pytest.param("uvicorn", "", 10, 9, "T/T", id="uvicorn", marks=needs("uvicorn")),
        pytest.param("hypercorn", "threads=4", 4, 3, "T/T", id="Hypercorn", marks=needs("hypercorn")),
        pytest.param("tornado", "threads=3", 3, 2, "T/T", id="Tornado with an executor", marks=needs("tornado")),
        pytest.param("tornado", "", UNKNOWN, 0, "F/T", id="Tornado", marks=needs("tornado")),
        pytest.param("bjoern", "", UNKNOWN, 0, "F/T", id="bjoern", marks=needs("bjoern")),
        pytest.param("cheroot", "threads=10", UNKNOWN, 0, "T/F", id="cheroot", marks=needs("cheroot")),
        pytest.param("granian", "threads=4", UNKNOWN, 0, "T/F", id="Granian", marks=needs("granian")),
        pytest.param("twisted", "", UNKNOWN, 0, "T/F", id="Twisted", marks=needs("twisted")),
    ],
)
def test_how_many_requests_may_be_paused(
    serve: Serve, tmp_path: Path, server: str, options: str, threads: int | str | None, limit: int | str, says: str
) -> None:
    found = known(serve, server, options, tmp_path)
    environ = "/".join("FT"[found[flag]] for flag in ("multithread", "multiprocess"))
    assert (found["threads"], found["pauses"], environ) == (threads, limit, says)
    assert found["keeps_alive"] == ("sync" in options)
    assert not found["must_end"]
    assert found["refusal"] is None


@pytest.mark.parametrize(
    ("server", "options", "words"),
    [
        pytest.param("uwsgi", "processes=2", "--enable-threads", id="uWSGI without threads", marks=needs_uwsgi),
        pytest.param("uwsgi", "processes=2 threads=1", "--enable-threads", id="the same, in words", marks=needs_uwsgi),
        pytest.param("werkzeug", "processes=3", "a process for each request", id="a fork for each request"),
        pytest.param("gevent", "", "gevent has patched this process", id="gevent, patched"),
        pytest.param("eventlet", "", "eventlet has patched this process", id="eventlet, patched"),
        pytest.param("gevent_unpatched", "", "gevent serves this request", id="gevent's own server, nothing patched"),
        pytest.param("eventlet_unpatched", "", "eventlet serves this request", id="eventlet's own, nothing patched"),
        pytest.param("uwsgi", "gevent=10 processes=2 enable-threads", "gevent serves", id="uWSGI", marks=needs_uwsgi),
        pytest.param(
            "apache",
            "threads=5 subinterpreter",
            "%{GLOBAL}",
            id="mod_wsgi as it comes",
            marks=(needs_apache, below_312),
        ),
    ],
)
def test_what_can_not_be_debugged_is_refused_with_what_helps(
    serve: Serve, tmp_path: Path, server: str, options: str, words: str
) -> None:
    assert words in known(serve, server, options, tmp_path)["refusal"]


@needs_uwsgi
@below_312
def test_uwsgis_second_mount_is_refused(serve: Serve, tmp_path: Path) -> None:
    options = "threads=4 manage-script-name mount=/second=support.serve:for_uwsgi()"
    assert "sub-interpreter" in known(serve, "uwsgi", options, tmp_path, "/second/")["refusal"]
    assert known(serve, "uwsgi", options, tmp_path)["refusal"] is None


@needs_uwsgi
def test_the_developer_is_told_what_uwsgi_kills(serve: Serve, tmp_path: Path) -> None:
    found = known(serve, "uwsgi", "processes=2 threads=2 harakiri=60", tmp_path)
    assert "waits 60 s for a paused request (worker-reload-mercy)" in found["warning"]
    assert "longer than 60 s (harakiri)" in found["warning"]
    assert found["kills_after"] == 60
    assert "harakiri" not in known(serve, "uwsgi", "processes=2 threads=2", tmp_path)["warning"]


@needs_apache
def test_the_developer_is_told_what_mod_wsgi_kills(serve: Serve, tmp_path: Path) -> None:
    found = known(serve, "apache", "threads=5 request-timeout=60", tmp_path)
    # Version 6 is more patient the more threads there are.
    assert found["kills_after"] in (60, pytest.approx(60 * 2.609, abs=0.1))
    assert f"longer than {found['kills_after']:.0f} s (request-timeout=60)" in found["warning"]
    assert "request-timeout" not in known(serve, "apache", "threads=5", tmp_path)["warning"]


@needs_mod_wsgi_6
def test_the_developer_is_told_what_mod_wsgi_express_kills_as_it_comes(serve: Serve, tmp_path: Path) -> None:
    found = known(serve, "express", "", tmp_path)
    assert (found["threads"], found["pauses"]) == (5, 4)
    assert "longer than 157 s (request-timeout=60)" in found["warning"]


ONE, FOUR, BUSY = Server("waitress", 1), Server("waitress", 4), Server("gunicorn", 1, has_other_processes=True)

#: Server, threads configured, threads seen, what wsgi.multithread says: how many pauses, or words of the refusal.
DECISIONS: dict[str, tuple[Server, int | None, int, bool, int | str]] = {
    "a known number leaves one": (FOUR, None, 1, True, 3),
    "a known number counts whatever the environ says": (FOUR, None, 1, False, 3),
    "a known number counts whatever is configured": (FOUR, 100, 1, True, 3),
    "a known number counts whatever was seen": (FOUR, None, 9, True, 3),
    "two threads are one pause": (Server("x", 2), None, 1, True, 1),
    "a thread for each request is no limit": (Server("x", A_THREAD_EACH), None, 1, True, A_THREAD_EACH),
    "one thread is none to spare": (ONE, None, 1, True, "waitress has one thread here"),
    "one thread, and no number makes it more": (ONE, 8, 8, True, "waitress has one thread here"),
    "a process that can be spared": (BUSY, None, 1, False, 1),
    "a process that can be spared, and says threads": (BUSY, None, 1, True, 1),
    "unknown, and configured": (Server(), 8, 1, True, 7),
    "unknown, and configured, whatever the environ says": (Server(), 8, 1, False, 7),
    "unknown, and configured, and fewer seen": (Server(), 8, 2, True, 7),
    "unknown, and configured as one": (Server(), 1, 1, True, "as threads=1 says"),
    "unknown, configured as one, and more seen": (Server(), 1, 5, True, "as threads=1 says"),
    "unknown, and several seen": (Server(), None, 5, True, 4),
    "unknown, and several seen, whatever the environ says": (Server(), None, 2, False, 1),
    "unknown: wsgi.multithread is not believed": (Server(), None, 1, True, "can't be asked how many threads it has"),
    "unknown: nor is it made light of": (Server(), None, 1, False, "handles one request at a time"),
    "unknown: nobody seen": (Server(), None, 0, True, "can't be asked how many threads it has"),
    "unknown: its other processes are only said": (Server(has_other_processes=True), None, 1, True, "can't be asked"),
}


@pytest.mark.parametrize(("server", "configured", "seen", "multithread", "answer"), DECISIONS.values(), ids=DECISIONS)
def test_how_many_pauses_are_decided(
    server: Server, configured: int | None, seen: int, multithread: bool, answer: int | str
) -> None:
    limit, reason = pauses(server, configured=configured, seen=seen, multithread=multithread)
    if isinstance(answer, int):
        assert (limit, reason) == (answer, None)
        return
    assert limit == 0
    assert answer in str(reason)
    # What a header has room for names what helps.
    if server.threads is None:
        assert "STAGEDOOR_THREADS" in str(reason)[:200]


def test_whatever_is_known_one_thread_is_left() -> None:
    for threads in (None, 1, 2, 3, 8):
        for others in (False, True):
            for configured in (None, 1, 2, 8):
                for seen in (0, 1, 2, 8):
                    for multithread in (False, True):
                        server = Server(threads=threads, has_other_processes=others)
                        limit, reason = pauses(server, configured=configured, seen=seen, multithread=multithread)
                        assert (limit == 0) == (reason is not None)
                        spared = threads == 1 and others
                        assert limit < (threads or configured or max(seen, 1)) or (spared and limit == 1)


HANGS, SPINS, PAUSES_ALL = "hangs the whole process for good", "never stops running", "share one thread"

DANGERS: dict[str, tuple[Process, str | None]] = {
    "nothing": (Process(), None),
    "3.11": (Process((3, 11)), None),
    "mod_wsgi's sub-interpreter on 3.11": (Process((3, 11), in_subinterpreter=True, mod_wsgi=(4, 9, 4)), HANGS),
    "its main one on 3.11": (Process((3, 11), mod_wsgi=(4, 9, 4), is_daemon=True), None),
    "its sub-interpreter on 3.12": (Process((3, 12), in_subinterpreter=True, mod_wsgi=(5, 0, 2)), None),
    "uWSGI's second mount on 3.11": (Process((3, 11), in_subinterpreter=True, is_uwsgi=True), HANGS),
    "uWSGI's second mount on 3.13": (Process((3, 13), in_subinterpreter=True, is_uwsgi=True), None),
    "any other sub-interpreter on 3.11": (Process((3, 11), in_subinterpreter=True), HANGS),
    "mod_wsgi 6's daemon on 3.11": (Process((3, 11), mod_wsgi=(6, 0, 0), is_daemon=True), SPINS),
    "mod_wsgi 6.1's daemon on 3.11": (Process((3, 11), mod_wsgi=(6, 1, 3), is_daemon=True), SPINS),
    "mod_wsgi 6, embedded, on 3.11": (Process((3, 11), mod_wsgi=(6, 0, 0)), None),
    "mod_wsgi 5's daemon on 3.11": (Process((3, 11), mod_wsgi=(5, 0, 2), is_daemon=True), None),
    "mod_wsgi 6's daemon on 3.12": (Process((3, 12), mod_wsgi=(6, 0, 0), is_daemon=True), None),
    "gevent has patched": (Process(hub="gevent", is_patched=True), PAUSES_ALL),
    "gevent has patched nothing": (Process(hub="gevent"), PAUSES_ALL),
    "some greenlet": (Process(hub="greenlet"), PAUSES_ALL),
}


@pytest.mark.parametrize(("process", "words"), DANGERS.values(), ids=DANGERS)
def test_what_a_debugger_would_kill(process: Process, words: str | None) -> None:
    sentence = danger(process)
    if words is None:
        assert sentence is None
        return
    assert words in str(sentence)
    if process.in_subinterpreter and process.mod_wsgi:
        assert "WSGIApplicationGroup %{GLOBAL}" in str(sentence)[:200]


GREENLETS = Process(hub="gevent")
REFUSING = Server("Some server", refusal="Its requests can't be debugged.")
REFUSALS: dict[str, tuple[dict[str, Any], str | None]] = {
    "nothing": ({}, None),
    "too many processes, and all the rest": (
        {"has_too_many_processes": True, "process": GREENLETS, "server": REFUSING, "unpaused": "x"},
        "several processes",
    ),
    "the process, the server, and no pause": ({"process": GREENLETS, "server": REFUSING, "unpaused": "x"}, "gevent"),
    "the server, and no pause": ({"server": REFUSING, "unpaused": "x"}, "Its requests can't be debugged."),
    "no pause": ({"unpaused": "One thread."}, "One thread."),
    "no threads": ({"process": Process(runs_threads=False)}, "--enable-threads"),
    "greenlets, and no threads": ({"process": Process(hub="gevent", runs_threads=False)}, "gevent"),
}


@pytest.mark.parametrize(("facts", "reason"), REFUSALS.values(), ids=REFUSALS.keys())
def test_of_several_reasons_the_first_one_is_given(facts: dict[str, Any], reason: str | None) -> None:
    given = refusal(**{"process": Process(), "server": Server(), **facts})
    assert given is None if reason is None else reason in str(given)


@pytest.mark.parametrize(
    ("configuration", "timeout"),
    [
        pytest.param("WSGIDaemonProcess site threads=5 request-timeout=60", 60, id="on one line"),
        pytest.param(
            "WSGIDaemonProcess site \\\n  display-name='a b' \\\n request-timeout=60 \\\n threads=5",
            60,
            id="on several",
        ),
        pytest.param("  wsgidaemonprocess 'site' request-timeout=7", 7, id="in another spelling"),
        pytest.param("WSGIDaemonProcess site threads=5", 0, id="without: never"),
        pytest.param("WSGIDaemonProcess other request-timeout=60", None, id="of another group"),
        pytest.param("# WSGIDaemonProcess site request-timeout=60", None, id="in a comment"),
        pytest.param("WSGIDaemonProcess site request-timeout=soon", None, id="nonsense"),
        pytest.param("Include more.conf", None, id="elsewhere"),
        pytest.param(None, None, id="no file"),
    ],
)
def test_mod_wsgis_timeout_is_read_where_it_stands(configuration: str | None, timeout: float | None) -> None:
    assert request_timeout(configuration, "site") == timeout


@pytest.mark.parametrize(("kills_after", "longest"), [(None, None), (60, 55), (20, 15), (8, 6), (2, 1.5)])
def test_a_pause_ends_before_the_server_kills(kills_after: float | None, longest: float | None) -> None:
    assert Server(kills_after=kills_after).longest_request == longest


def test_a_server_that_cannot_be_asked_is_not_retiring() -> None:
    def broken() -> bool:
        raise AttributeError("alive")

    assert not Server(retiring=broken).must_end


class TestThreadsSetting:
    @pytest.mark.parametrize(("value", "threads"), [(None, None), (1, 1), (8, 8), ("8", 8), (" 4 ", 4)])
    def test_is_a_number(self, value: int | str | None, threads: int | None) -> None:
        assert Settings.read(threads=value, environ={}).threads == threads

    def test_stands_in_the_environment_too(self) -> None:
        assert Settings.read(environ={"STAGEDOOR_THREADS": "8"}).threads == 8
        assert Settings.read(threads=4, environ={"STAGEDOOR_THREADS": "8"}).threads == 4

    @pytest.mark.parametrize("value", [0, -1, True, 1.5, "", "0", "-3", "many", "8 threads", "1e3", "٣x", [8]])
    def test_nonsense_is_refused(self, value: Any) -> None:
        with pytest.raises(ConfigurationError, match=r"threads=.* is not a number of threads"):
            Settings.read(threads=value, environ={})


class TestInterpreter:
    """The interpreter for a process of our own."""

    def test_sys_executable_is_taken_if_it_is_python(self) -> None:
        assert python_executable() == sys.executable

    @pytest.mark.parametrize("executable", ["/usr/bin/uwsgi", "/usr/sbin/apache2", "", "/nowhere/python3"])
    def test_otherwise_the_one_in_the_prefix(
        self, executable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        interpreter = tmp_path / "bin" / "python3"
        interpreter.parent.mkdir()
        interpreter.symlink_to(sys.executable)
        monkeypatch.setattr(sys, "executable", executable)
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        assert python_executable() == str(interpreter)

    def test_a_prefix_without_an_interpreter_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/usr/sbin/apache2")
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
        with pytest.raises(DebuggerError, match=f"/usr/sbin/apache2.*{tmp_path}"):
            python_executable()
