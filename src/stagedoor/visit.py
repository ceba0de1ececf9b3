"""One matching request: debugged from before the application is called until its response body is closed."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .audit import Audit
from .break_on import BreakOn
from .debuggers.base import Debugger
from .lookout import Lookout
from .tracing import Tracing, stop_on_exception
from .window import Window, format_time

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DIRECTIVE_HEADER, DIRECTIVE_COOKIE = "HTTP_X_STAGEDOOR", "stagedoor"
RESPONSE_HEADER = "Stagedoor"


class Visits:
    """The matching requests of one application.

    A thread is traced only while it serves one. Should a server never close a body, or close it on another thread,
    then :meth:`release_abandoned` finds the thread when it serves its next request.

    :param debugger: what debugs them.
    :param audit: where errors are recorded; none of them ever reaches the application or the server.
    :param break_on: which of them stop at their first line without being asked to.
    """

    def __init__(self, debugger: Debugger, audit: Audit, break_on: BreakOn | None = None) -> None:
        self.debugger = debugger
        self.audit = audit
        self._break_on = break_on
        self.lookout = Lookout(audit)
        #: The traced ones, by the thread that serves them. Empty most of the time, which is cheap to ask.
        self.traced: dict[int, _Visit] = {}

    def serve(
        self, app: WSGIApplication, window: Window, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call ``app`` for a matching request, exactly as the server would have."""
        self.lookout.look(app, window, environ)
        visit = _Visit(self, window, environ)
        visit.runs = True
        try:
            result = app(environ, visit.announcing(start_response))
        except BaseException as error:
            visit.failed(error)
            visit.leave()
            raise
        finally:
            visit.runs = False
        return visit.body(result, environ)

    def stops_at_entry(self, environ: WSGIEnvironment) -> bool:
        """Whether ``break_on`` is true for a request. Never raises."""
        if self._break_on is None:
            return False
        try:
            return bool(self._break_on(environ))
        except Exception as error:
            self.audit.failed("break_on", f"break_on failed with {type(error).__name__}: {error}. It stops no request.")
            return False

    def release_abandoned(self) -> None:
        """The calling thread begins a request: whatever it served before is over, unless that one makes this one."""
        ident = threading.get_ident()
        visit = self.traced.get(ident)
        if visit is not None and not visit.runs:
            visit.leave()
            self.traced.pop(ident, None)
            if visit.left_from_elsewhere is not None:
                visit.left_from_elsewhere.deny_this_thread()


class _Visit:
    """One matching request."""

    def __init__(self, visits: Visits, window: Window, environ: WSGIEnvironment) -> None:
        self._visits = visits
        self._thread = threading.get_ident()
        self._tracing: Tracing | None = None
        #: The debugger, if the body was closed on another thread: that of the request has something left to do.
        self.left_from_elsewhere: Tracing | None = None
        #: Whether the application's code runs on the request's thread now.
        self.runs = False
        try:
            state = self._enter(window, environ)
        except Exception as error:
            visits.audit.error("starting the debugger", error)
            state = _busy(f"{type(error).__name__} while starting the debugger")
        self._header = (RESPONSE_HEADER, f"open; until={format_time(window.expires_at)}; client={state}")

    def _enter(self, window: Window, environ: WSGIEnvironment) -> str:
        """Begin to debug the request, if there is a client; returns what the response says about it."""
        directive = presented(environ, DIRECTIVE_HEADER, DIRECTIVE_COOKIE)
        if directive == "ignore":
            return "ignored"
        debugger, multithread = self._visits.debugger, bool(environ.get("wsgi.multithread"))
        reason = debugger.refusal(multiprocess=bool(environ.get("wsgi.multiprocess")), multithread=multithread)
        if reason is not None:
            self._visits.audit.failed("server", f"{reason} The request goes on undebugged.")
            return _busy(reason)
        request = label(environ)
        tracing, reason = debugger.arm(window, request, multithread=multithread)
        if reason is not None:
            return _busy(reason)
        if tracing is None or not tracing.attached:
            return "waiting"
        if tracing.is_full:
            return _busy("as many requests of this worker are paused as may be")
        if tracing.enter(request, stop_at_entry=directive == "break" or self._visits.stops_at_entry(environ)):
            self._tracing = tracing
            self._visits.traced[self._thread] = self
            self._visits.lookout.tell(tracing)
        return "attached"

    def failed(self, error: BaseException) -> None:
        """The application has failed: show where, before the exception reaches the server. Never raises."""
        # The others are orders, such as SystemExit from the server's signal handler.
        if self._tracing is not None and isinstance(error, Exception):
            stop_on_exception(error)

    def leave(self) -> None:
        """The request is over; a second call does nothing. Never raises."""
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            if threading.get_ident() == self._thread:
                self._visits.traced.pop(self._thread, None)
            else:
                self.left_from_elsewhere = tracing
            try:
                tracing.leave(self._thread)
            except Exception as error:
                self._visits.audit.error("leaving a request", error)

    def announcing(self, start_response: StartResponse) -> StartResponse:
        """``start_response`` that adds the header of a matching request's response."""

        def announce(*arguments: Any, **keywords: Any) -> Callable[[bytes], object]:
            # PEP 3333: with exc_info this is the response to an error, which nobody will raise any more.
            exc_info = arguments[2] if len(arguments) > 2 else keywords.get("exc_info")
            if isinstance(exc_info, tuple) and len(exc_info) == 3:
                self.failed(exc_info[1])
            # The application's own list stays as it is. What is no list is the server's to refuse.
            if len(arguments) > 1 and type(arguments[1]) is list:
                headers = [each for each in arguments[1] if not _is_announced(each)]
                arguments = (arguments[0], [*headers, self._header], *arguments[2:])
            return start_response(*arguments, **keywords)

        return announce

    def body(self, result: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
        """The body to hand to the server: ``result``, wrapped only where code of the application runs later."""
        wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(result, io.IOBase) or (isinstance(wrapper, type) and isinstance(result, wrapper))
        if self._tracing is None or is_file or type(result) in (list, tuple, bytes):
            # Servers treat these in their own ways (sendfile, a Content-Length for a single block).
            self.leave()
            return result
        return _SizedBody(result, self) if hasattr(type(result), "__len__") else _Body(result, self)


class _Body:
    """A response body during which the request is still being served."""

    def __init__(self, result: Iterable[bytes], visit: _Visit) -> None:
        self._result = result
        self._visit = visit
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        self._iterator = self._run(iter, self._result)
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            iter(self)
        return self._run(next, self._iterator)  # type: ignore[no-any-return]

    def close(self) -> None:
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                self._run(close)
        finally:
            self._visit.leave()

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        self._visit.runs = True
        try:
            return function(*arguments)
        except StopIteration:
            raise
        except Exception as error:
            self._visit.failed(error)
            raise
        finally:
            self._visit.runs = False


class _SizedBody(_Body):
    """The same for a body whose number of blocks the server may ask for."""

    def __len__(self) -> int:
        return len(self._result)  # type: ignore[arg-type]


def presented(environ: Mapping[str, Any], header: str, cookie: str) -> str | None:
    """A value that a request carries in a header or else in a cookie."""
    value = environ.get(header)
    if isinstance(value, str):
        return value.strip()
    cookies = environ.get("HTTP_COOKIE")
    if isinstance(cookies, str) and cookie in cookies:
        from werkzeug.http import parse_cookie

        return parse_cookie(cookies).get(cookie)
    return None


def label(environ: Mapping[str, Any]) -> str:
    """A request as its thread and the log name it: ``GET /checkout``, without the query, which may hold secrets."""
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}" or "/"
    printable = "".join(character if character.isprintable() else "?" for character in path[:200])
    return f"{str(environ.get('REQUEST_METHOD', '?'))[:20]} {printable}"


def _is_announced(header: object) -> bool:
    """Whether another StageDoor has put this header there: where one wraps another, the outer one is right."""
    return isinstance(header, tuple) and header[:1] == (RESPONSE_HEADER,)


def _busy(reason: str) -> str:
    """The reason as a quoted string of a header (RFC 9110, 5.6.4)."""
    plain = "".join(
        character if " " <= character <= "~" and character not in '"\\' else "?" for character in reason[:200]
    )
    return f'busy; reason="{plain}"'
