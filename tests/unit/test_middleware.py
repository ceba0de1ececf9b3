"""The middleware as server and application see it: not at all."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from stagedoor import StageDoor
from stagedoor.access.passes import make_passes
from stagedoor.request import DebuggedRequest
from support.servers import ALLOWED, OTHER
from support.stage import Environ, Stage, make_environ, serve, unfinished
from support.waiting import wait_for

StartResponse = Callable[..., Any]
HEADERS = [("Content-Type", "text/plain"), ("X-Application", "its own")]


# -- Applications, each with something that a middleware gets wrong ----------------------------------------------------


class Broken(Exception):
    """What a failing application raises."""


def plain(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return [b"one ", b"two"]


def empty(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("204 No Content", [])
    return []


def tuple_body(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return (b"one", b"two")


def generator(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", HEADERS)  # when the server asks for the first block
    yield b"one"
    yield b"two"


def generator_returned(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return (block for block in (b"one", b"two"))


class Body:
    """A body that the server must close, once."""

    def __init__(self, log: list[Any], *blocks: bytes | Exception) -> None:
        self._log = log
        self._blocks = blocks

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if isinstance(block, Exception):
                raise block
            yield block

    def close(self) -> None:
        self._log.append("closed by the server")


class SizedBody(Body):
    def __len__(self) -> int:
        return len(self._blocks)


class IndexedBody:
    """Iterable by the old protocol of sequences."""

    def __getitem__(self, index: int) -> bytes:
        return [b"one", b"two"][index]


def closeable(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return Body(environ["test.log"], b"one", b"two")


def sized(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return SizedBody(environ["test.log"], b"one")


def indexed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return IndexedBody()  # type: ignore[return-value]


def writing(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", HEADERS)
    write(b"written ")
    write(b"first")
    return [b" and returned"]


def file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"from a file"))  # type: ignore[no-any-return]


def file_object(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return io.BytesIO(b"one\ntwo\n")


def bytes_body(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return b"abc"  # type: ignore[return-value]


def no_body(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return None  # type: ignore[return-value]


def head(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "1000")])
    return Body(environ["test.log"])


def recovering(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    try:
        raise Broken("before any block")
    except Broken as error:
        start_response("500 Oops", [("X-Error", "yes")], (type(error), error, error.__traceback__))
    return [b"sorry"]


def recovering_by_keyword(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    try:
        raise Broken("before any block")
    except Broken as error:
        start_response("500 Oops", [], exc_info=(type(error), error, error.__traceback__))
    return [b"sorry"]


def by_keyword(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", headers=HEADERS)
    return [b"unusual"]


def calling_twice(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    start_response("200 OK", HEADERS)
    return [b"never"]


def headers_no_list(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", tuple(HEADERS))
    return [b"the server decides"]


def raising_at_once(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise Broken("at once")


def raising_after_start(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    raise Broken("after start_response")


def raising_in_the_body(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return Body(environ["test.log"], b"one", Broken("in the body"))


def raising_generator(environ: Environ, start_response: StartResponse) -> Iterator[bytes]:
    raise Broken("before the first block")
    yield b"never"


def raising_iter(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    class Refusing:
        def __iter__(self) -> Iterator[bytes]:
            raise Broken("in __iter__")

    start_response("200 OK", HEADERS)
    return Refusing()


def raising_close(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    class Failing(Body):
        def close(self) -> None:
            super().close()
            raise Broken("in close()")

    start_response("200 OK", HEADERS)
    return Failing(environ["test.log"], b"one")


def exiting(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    raise SystemExit(3)


def looking_closely(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("X-Environ", ",".join(sorted(environ)))])
    return [repr(environ["PATH_INFO"]).encode()]


def keeping_its_headers(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    headers = [("X-Application", "its own")]
    start_response("200 OK", headers)
    return [repr(headers).encode()]


APPLICATIONS = [
    plain,
    empty,
    tuple_body,
    generator,
    generator_returned,
    closeable,
    sized,
    indexed,
    writing,
    file,
    file_object,
    bytes_body,
    no_body,
    head,
    recovering,
    recovering_by_keyword,
    by_keyword,
    calling_twice,
    headers_no_list,
    raising_at_once,
    raising_after_start,
    raising_in_the_body,
    raising_generator,
    raising_iter,
    raising_close,
    exiting,
    looking_closely,
    keeping_its_headers,
]
BY_NAME: dict[str, Callable[..., Any]] = {f"/{app.__name__}": app for app in APPLICATIONS} | {"/hello": plain}


def by_path(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    return BY_NAME[environ["PATH_INFO"]](environ, start_response)


# -- What a server sees ------------------------------------------------------------------------------------------------


@dataclass
class Transcript:
    """Everything that happens between a server and an application, in its order."""

    events: list[Any] = field(default_factory=list)
    announced: str | None = None
    #: Whether the application gave its headers as PEP 3333 has it: a list, by position.
    takes_headers: bool = False

    def start_response(self, status: str, *arguments: Any, **keywords: Any) -> Callable[[bytes], None]:
        self.takes_headers = bool(arguments) and type(arguments[0]) is list
        return self._start(status, *arguments, **keywords)

    def _start(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        if exc_info is None and any(event[0] == "start" for event in self.events if isinstance(event, tuple)):
            raise AssertionError("Headers already set")
        own = [header for header in headers if header[0] != "Stagedoor"]
        self.announced = dict(headers).get("Stagedoor")
        self.events.append(("start", status, type(headers), own, exc_info and (exc_info[0], str(exc_info[1]))))
        return lambda data: self.events.append(("write", data))


def transcript(app: Callable[..., Iterable[bytes]], path: str, source: str) -> Transcript:
    seen = Transcript()
    environ = make_environ(path, source, {"User-Agent": "test"})
    environ["test.log"] = seen.events
    environ["wsgi.file_wrapper"] = FileWrapper
    body: Any = None
    try:
        body = app(environ, seen.start_response)
        seen.events.append(("is a file", isinstance(body, FileWrapper)))
        with_length = hasattr(body, "__len__")
        seen.events.append(("length", len(body) if with_length else None))
        for block in body:
            seen.events.append(("block", block))
    except BaseException as error:
        # The traceback that a developer reads ends in the same line of the application.
        frame = innermost_frame(error) if isinstance(error, Broken) else None
        seen.events.append(("error", type(error), str(error), frame))
    finally:
        try:
            if hasattr(body, "close"):
                body.close()
        except Exception as error:
            seen.events.append(("error in close", type(error), str(error)))
    return seen


def innermost_frame(error: BaseException) -> str:
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_name if traceback is not None else ""


@pytest.fixture(scope="module", params=["closed", "no client", "attached"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Closed; open, with the debugger listening; with a client that has breakpoints, so that requests are traced."""
    made = Stage(by_path)
    if request.param == "no client":
        made.open()
        wait_for(lambda: "client=waiting" in str(made.workers[0].get("/plain").header), "the debugger to start")
    elif request.param == "attached":
        made.armed("work")
    yield made
    made.stop()


@pytest.mark.parametrize("app", APPLICATIONS, ids=lambda app: app.__name__.replace("_", " "))
@pytest.mark.parametrize("source", [pytest.param(ALLOWED, id="matching"), pytest.param(OTHER, id="not matching")])
def test_promise_6_a_server_sees_what_it_would_see_without_the_middleware(
    stage: Stage, source: str, app: Callable[..., Any]
) -> None:
    path = f"/{app.__name__}"
    expected = transcript(by_path, path, source)
    seen = stage.workers[0].run(transcript, stage.door, path, source).result(5)
    assert seen.events == expected.events
    if source == OTHER or stage.door._watch.current() is None:
        assert seen.announced is None
    elif expected.takes_headers:
        state = "attached" if stage.clients else "waiting"
        assert re.fullmatch(rf"open; until=\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ; client={state}", str(seen.announced))
    assert not unfinished()


@pytest.mark.parametrize("app", [plain, empty, generator, generator_returned, closeable, writing, recovering])
@pytest.mark.parametrize("source", [ALLOWED, OTHER])
def test_wsgiref_finds_nothing_wrong_on_either_side(stage: Stage, source: str, app: Callable[..., Any]) -> None:
    # Both the application and the server are held to PEP 3333: StageDoor is the server of the inner validator.
    BY_NAME["/validated"] = validator(with_type(app))
    environ = make_environ("/validated", source)
    environ["test.log"] = []
    stage.workers[0].run(serve, validator(stage.door), environ).result(5)


def with_type(app: Callable[..., Any]) -> Callable[..., Iterable[bytes]]:
    """The same application with the Content-Type that wsgiref.validate demands of an error page too."""

    def typed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: Any, *exc_info: Any) -> Any:
            if not status.startswith("204"):
                headers = [*[each for each in headers if each[0] != "Content-Type"], ("Content-Type", "text/plain")]
            return start_response(status, headers, *exc_info)

        return app(environ, start)  # type: ignore[no-any-return]

    return typed


def test_the_environ_is_the_servers_own_object(stage: Stage) -> None:
    environs = []

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environs.append(environ)
        start_response("200 OK", [])
        return []

    BY_NAME["/environ"] = app
    environ = make_environ("/environ")
    before = dict(environ)
    serve(stage.door, environ)
    assert environs[0] is environ
    assert environ == before


# -- Who matches -------------------------------------------------------------------------------------------------------


@pytest.fixture
def door_with_token() -> Iterator[tuple[StageDoor, str]]:
    door = StageDoor(plain, allow=ALLOWED, switch="memory", require_token=True, debugger="listen", bind="127.0.0.1:1")
    token = door.open(timedelta(minutes=5)).token
    yield door, token
    door.close()


def matches(door: StageDoor, source: str | None, headers: dict[str, str] | None = None) -> bool:
    # What a matching request gets further on is said by the header; "ignore" keeps the debugger out of it.
    response = serve(door, make_environ("/", source, {"X-Stagedoor": "ignore"} | (headers or {})))
    assert response.text == "one two"
    return response.header is not None


@pytest.mark.parametrize(
    ("source", "template", "expected"),
    [
        pytest.param(ALLOWED, {"X-Stagedoor-Token": "{token}"}, True, id="the token in the header"),
        pytest.param(ALLOWED, {"Cookie": "a=b; stagedoor_token={token}"}, True, id="the token in the cookie"),
        pytest.param(ALLOWED, {"Cookie": 'stagedoor_token="{token}"'}, True, id="the token in a quoted cookie"),
        pytest.param(ALLOWED, {"X-Stagedoor-Token": " {token} "}, True, id="blanks around the token"),
        pytest.param(ALLOWED, {}, False, id="no token"),
        pytest.param(ALLOWED, {"X-Stagedoor-Token": ""}, False, id="an empty token"),
        pytest.param(ALLOWED, {"X-Stagedoor-Token": "{token}x"}, False, id="a longer one"),
        pytest.param(ALLOWED, {"X-Stagedoor-Token": "wrong"}, False, id="a wrong one"),
        pytest.param(ALLOWED, {"X-Stagedoor-Token": "\xe9\xff"}, False, id="one that is not ASCII"),
        pytest.param(
            ALLOWED,
            {"X-Stagedoor-Token": "wrong", "Cookie": "stagedoor_token={token}"},
            False,
            id="a wrong one in the header and the right one in the cookie",
        ),
        pytest.param(ALLOWED, {"Cookie": "not_stagedoor_token={token}"}, False, id="a cookie of another name"),
        pytest.param(OTHER, {"X-Stagedoor-Token": "{token}"}, False, id="the right one from elsewhere"),
    ],
)
def test_require_token(
    door_with_token: tuple[StageDoor, str], source: str, template: dict[str, str], expected: bool
) -> None:
    door, token = door_with_token
    headers = {name: value.replace("{token}", token) for name, value in template.items()}
    assert matches(door, source, headers) is expected


def test_a_refused_token_is_recorded_without_it(
    door_with_token: tuple[StageDoor, str], caplog: pytest.LogCaptureFixture
) -> None:
    door, token = door_with_token
    caplog.set_level(logging.INFO)
    matches(door, ALLOWED, {"X-Stagedoor-Token": "guessed-token-guessed"})
    matches(door, ALLOWED, {"X-Stagedoor-Token": token})
    (refusal,) = [record for record in caplog.records if record.event == "refused"]  # type: ignore[attr-defined]
    assert refusal.levelno == logging.WARNING
    assert refusal.reason == "token"  # type: ignore[attr-defined]
    assert refusal.address == ALLOWED  # type: ignore[attr-defined]
    assert "wrong token" in refusal.getMessage()
    written = "".join(repr(vars(record)) for record in caplog.records)
    assert "guessed" not in written
    assert token not in written


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(None, id="no REMOTE_ADDR"),
        pytest.param("", id="blank, as on a Unix socket"),
        pytest.param("unix:", id="not an address"),
        pytest.param(f"{ALLOWED}\x00", id="a null character"),
        pytest.param(f"{ALLOWED}%eth0", id="a zone"),
        pytest.param(0x7F000002, id="an integer"),
        pytest.param([ALLOWED], id="a list"),
        pytest.param(b"127.0.0.2", id="bytes"),
    ],
)
def test_an_address_that_is_none_is_never_let_in_and_never_an_error(source: Any) -> None:
    door = StageDoor(plain, allow=[ALLOWED, "0.0.0.0/1"], switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    for _ in range(2):
        assert not matches(door, source)
    door.close()


@pytest.mark.parametrize("source", [ALLOWED, "198.51.100.9"])
def test_a_request_that_no_proxy_fix_has_handled_is_refused_and_the_header_named(
    source: str, caplog: pytest.LogCaptureFixture
) -> None:
    door = StageDoor(plain, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    for _ in range(3):
        assert not matches(door, source, {"X-Forwarded-For": ALLOWED})
    refusals = [record.getMessage() for record in caplog.records if "X-Forwarded-For" in record.getMessage()]
    assert len([each for each in refusals if " = ProxyFix(" in each]) == 1
    door.close()


def test_the_log_says_once_whose_requests_match(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    door = StageDoor(plain, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1", require_token=True)
    token = door.open(timedelta(minutes=5)).token
    anna, ben = make_passes("anna", token), make_passes("ben", token)
    for _ in range(2):
        for carried in (token, anna.request, ben.request):
            assert matches(door, f"::ffff:{ALLOWED}", {"X-Stagedoor-Token": carried})
        for carried in (anna.attach, make_passes("anna", "x" * 43).request):
            assert not matches(door, ALLOWED, {"X-Stagedoor-Token": carried})
    matched = [record for record in caplog.records if record.event == "matched"]  # type: ignore[attr-defined]
    assert [(record.owner, record.address) for record in matched] == [  # type: ignore[attr-defined]
        (ALLOWED, ALLOWED),
        ("anna", ALLOWED),
        ("ben", ALLOWED),
    ]
    assert matched[1].getMessage() == f"matched: GET / of anna, from {ALLOWED}, the first of this window"
    refused = [record.reason for record in caplog.records if record.event == "refused"]  # type: ignore[attr-defined]
    assert refused == ["pass"]
    assert token not in caplog.text
    assert not any(each in caplog.text for each in (anna.request, anna.attach, ben.request))
    door.close()


@pytest.mark.parametrize("source", [ALLOWED, f"::ffff:{ALLOWED}"])
def test_the_request_knows_whose_it_is(source: str) -> None:
    owners: list[str] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            if isinstance(request := frame.f_locals.get("self"), DebuggedRequest):
                owners.append(request.owner)
            frame = frame.f_back
        start_response("200 OK", [])
        return []

    door = StageDoor(app, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1")
    token = door.open(timedelta(minutes=5)).token
    for carried in (None, token, make_passes("anna", token).request):
        headers = {"X-Stagedoor": "ignore"} | ({"X-Stagedoor-Token": carried} if carried is not None else {})
        serve(door, make_environ("/", source, headers))
    assert owners == [ALLOWED, ALLOWED, "anna"]
    door.close()


@pytest.mark.parametrize("strangers", [1, 5, 50])
def test_a_log_that_is_full_of_strangers_keeps_no_developer_out(strangers: int) -> None:
    door = StageDoor(plain, allow="10.0.0.7", switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    for number in range(strangers):
        for spelling in (f"10.0.1.{number}", f"::ffff:10.0.1.{number}", f"10.0.1.{number} "):
            for _ in range(2):
                assert not matches(door, spelling)
    for spelling in ("10.0.0.7", "::ffff:10.0.0.7", "::ffff:a00:7"):
        assert matches(door, spelling)
    door.close()


def test_what_to_do_about_a_proxy_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes milliseconds in a large application, and a proxy that is on the allowlist sends every visitor's request."""
    looks = []

    class Module:
        @property
        def __dict__(self) -> dict[str, object]:  # type: ignore[override]
            looks.append(1)
            return {}

    door = StageDoor(plain, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    monkeypatch.setitem(sys.modules, "large", Module())  # type: ignore[arg-type]
    for _ in range(3):
        assert not matches(door, ALLOWED, {"X-Forwarded-For": "203.0.113.9"})
    assert len(looks) == 1
    door.close()


# -- Errors of ours ----------------------------------------------------------------------------------------------------


class Unreliable(Exception):
    pass


@pytest.mark.parametrize("part", ["arm", "refusal"])
def test_an_error_of_ours_leaves_the_request_alone(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    door = StageDoor(plain, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1", threads=8)
    door.open(timedelta(minutes=5))

    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise Unreliable("as bad luck would have it")

    monkeypatch.setattr(door._debugger, part, fail)
    for _ in range(3):
        response = serve(door, make_environ("/"))
        assert response.text == "one two"
        assert 'busy; reason="Unreliable while starting the debugger"' in str(response.header)
    failures = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert failures == [
        "failed: Unreliable while starting the debugger: as bad luck would have it. The request goes on undebugged."
    ]
    door.close()


def test_an_error_while_deciding_leaves_the_request_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    door = StageDoor(plain, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))

    def fail(*arguments: Any, **keywords: Any) -> Any:
        raise Unreliable("as bad luck would have it")

    monkeypatch.setattr("stagedoor.middleware.client_address", fail)
    response = serve(door, make_environ("/"))
    assert (response.text, response.header) == ("one two", None)
    assert "Unreliable while deciding on a request" in caplog.text
    door.close()


def test_a_reason_cant_break_out_of_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    door = StageDoor(plain, allow=ALLOWED, switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    nasty = 'no "threads"\r\nSet-Cookie: a=b\\ ' + "é" * 1000
    monkeypatch.setattr(door._debugger, "refusal", lambda **flags: nasty)
    header = str(serve(door, make_environ("/")).header)
    assert re.fullmatch(r'open; until=[^;]+; client=busy; reason="[ -!#-\[\]-~]{1,200}"', header)
    door.close()


def test_a_flood_of_strangers_writes_a_few_lines_and_hides_no_other_refusal(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    door = StageDoor(plain, allow=ALLOWED, switch="memory", require_token=True, debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    for number in range(2000):
        assert not matches(door, f"10.0.{number >> 8}.{number & 255}")
    assert not matches(door, ALLOWED)
    reasons = [record.reason for record in caplog.records if record.event == "refused"]  # type: ignore[attr-defined]
    assert len(reasons) <= 12
    assert reasons[-1] == "token"
    door.close()
