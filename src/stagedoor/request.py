"""One matching request: debugged from before the application is called until its response body is closed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import serving
from .audit import Audit
from .body import wrapped_body
from .settings.break_on import BreakOn
from .tracing import Matching, Tracing, stop_on_exception
from .window.window import Window, format_time
from .worker.backend import Debugger
from .worker.lookout import Lookout

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DIRECTIVE_HEADER, DIRECTIVE_COOKIE = "HTTP_X_STAGEDOOR", "stagedoor"
RESPONSE_HEADER = "Stagedoor"
#: The longest label in an IDE, in characters.
_SHOWN = 120


class Requests:
    """The matching requests of one application.

    :param debugger: what debugs them.
    :param audit: where errors are recorded; none of them ever reaches the application or the server.
    :param break_on: which of them stop at their first line without being asked to.
    """

    def __init__(self, debugger: Debugger, audit: Audit, break_on: BreakOn | None = None) -> None:
        self.debugger = debugger
        self.audit = audit
        self._break_on = break_on
        self.lookout = Lookout(audit)

    def serve(
        self, app: WSGIApplication, window: Window, owner: str, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Call ``app`` for a matching request, exactly as the server would have.

        :param owner: whose request it is, see :class:`~stagedoor.access.decision.Admitted`.
        """
        self.lookout.look(app, window, environ)
        debugged = DebuggedRequest(self, window, owner, environ)
        try:
            result = debugged.run(app, environ, debugged.announcing(start_response))
        except BaseException:
            debugged.end()
            raise
        return debugged.body(result, environ)

    def stops_at_entry(self, environ: WSGIEnvironment) -> bool:
        """Whether ``break_on`` is true for a request. Never raises."""
        if self._break_on is None:
            return False
        try:
            return bool(self._break_on(environ))
        except Exception as error:
            self.audit.failed("break_on", f"break_on failed with {type(error).__name__}: {error}. It stops no request.")
            return False


class DebuggedRequest:
    """One matching request. A thread is traced only inside :meth:`run`, whatever becomes of the body: a server may never
    close it, or close it on another thread.

    :param owner: whose it is: a pass's name, or the client's address.
    """

    def __init__(self, requests: Requests, window: Window, owner: str, environ: WSGIEnvironment) -> None:
        self.owner = owner
        self._requests = requests
        self._tracing: Tracing | None = None
        self._matching: Matching | None = None
        self._request = label(environ)
        try:
            state = self._begin(window, environ)
        except Exception as error:
            requests.audit.error("starting the debugger", error)
            state = _busy(f"{type(error).__name__} while starting the debugger")
        self._until = format_time(window.expires_at)
        self._header = self._announced(state)

    def _begin(self, window: Window, environ: WSGIEnvironment) -> str:
        """Begin to debug the request, if there is a client; returns what the response says about it."""
        directive = presented(environ, DIRECTIVE_HEADER, DIRECTIVE_COOKIE)
        if directive == "ignore":
            return "ignored"
        debugger, multithread = self._requests.debugger, bool(environ.get("wsgi.multithread"))
        reason = debugger.refusal(multiprocess=bool(environ.get("wsgi.multiprocess")), multithread=multithread)
        if reason is not None:
            self._requests.audit.failed("server", f"{reason} The request goes on undebugged.")
            return _busy(reason)
        tracing, reason, session, others = debugger.arm(
            window, self._request, multithread=multithread, owner=self.owner
        )  # fmt: skip
        if reason is not None:
            return _busy(reason)
        if tracing is None or not tracing.attached:
            return f"waiting; attached={_quoted(', '.join(others))}" if others else "waiting"
        if tracing.is_full(session):
            tracing.run_past(self._request, session)
            return _busy("as many requests of this worker are paused as may be")
        self._matching = tracing.begin(
            self._request,
            stop_at_entry=directive == "break" or self._requests.stops_at_entry(environ),
            session=session,
            shown=shown_label(environ),
        )
        self._tracing = tracing
        self._requests.lookout.tell(tracing)
        return "attached"

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``function``, a part of the application that serves this request, with the calling thread traced."""
        # Not what is known of the request when it leaves: somebody may have closed the body meanwhile, on another thread.
        entered = self._enter()
        try:
            return function(*arguments)
        except StopIteration:
            raise
        except Exception as error:  # The others are orders, such as SystemExit from the server's signal handler.
            self._failed(error)
            raise
        finally:
            if entered is not None:
                self._leave(*entered)

    def end(self) -> None:
        """The request is over; a second call does nothing. Never raises."""
        tracing, matching = self._tracing, self._matching
        self._tracing = self._matching = None
        if tracing is not None and matching is not None:
            try:
                tracing.end(matching)
            except Exception as error:
                self._requests.audit.error("ending a request", error)
            if matching.undebugged is not None:
                self._requests.audit.failed("async", f"{matching.request}: {' '.join(matching.undebugged)}")

    def __del__(self) -> None:
        # The server, or a middleware before us, has dropped the body without closing it, as many do.
        if self._tracing is not None and self._matching is not None:
            self._tracing.forget(self._matching)

    def _enter(self) -> tuple[Tracing, Matching] | None:
        tracing, matching = self._tracing, self._matching
        if tracing is None or matching is None:
            return None
        try:
            if tracing.enter(matching):
                serving.serve(matching)
                return tracing, matching
        except Exception as error:
            self._requests.audit.error("entering a request", error)
        return None

    def _leave(self, tracing: Tracing, matching: Matching) -> None:
        serving.serve(serving.VISITOR)
        try:
            tracing.leave(matching)
        except Exception as error:
            self._requests.audit.error("leaving a request", error)

    def _failed(self, error: BaseException) -> None:
        """The application has failed: show where, before the exception reaches the server. Never raises."""
        if self._tracing is not None:
            stop_on_exception(error)

    def _announced(self, state: str) -> tuple[str, str]:
        return RESPONSE_HEADER, f"open; until={self._until}; client={state}"

    def announcing(self, start_response: StartResponse) -> StartResponse:
        """``start_response`` that adds the header of a matching request's response."""

        def announce(*arguments: Any, **keywords: Any) -> Callable[[bytes], object]:
            # PEP 3333: with exc_info this is the response to an error, which nobody will raise any more. One to a client's
            # error is no failure of the application: Trac makes its "not found" pages so.
            exc_info = arguments[2] if len(arguments) > 2 else keywords.get("exc_info")
            if isinstance(exc_info, tuple) and len(exc_info) == 3 and _is_server_error(arguments):
                self._failed(exc_info[1])
            # The application's own list stays as it is. What is no list is the server's to refuse.
            if len(arguments) > 1 and type(arguments[1]) is list:
                self._requests.lookout.look_at_response(arguments[1], self._request, self._tracing)
                headers = [each for each in arguments[1] if not _is_announced(each)]
                arguments = (arguments[0], [*headers, self._current_header()], *arguments[2:])
            return start_response(*arguments, **keywords)

        return announce

    def _current_header(self) -> tuple[str, str]:
        matching = self._matching
        if matching is None or matching.undebugged is None:
            return self._header
        return self._announced(_busy(matching.undebugged[0]))

    def body(self, result: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
        """The body to hand to the server: ``result``, wrapped only where code of the application runs later."""
        wrapper, kind = environ.get("wsgi.file_wrapper"), type(result)
        # Its type: isinstance would ask a lazy object for what it stands for, and so run the application's code here.
        is_file = issubclass(kind, io.IOBase) or (isinstance(wrapper, type) and issubclass(kind, wrapper))
        if self._matching is None or is_file or result is None or kind in (list, tuple, bytes):
            # Servers treat these in their own ways (sendfile, a Content-Length for a single block, None as no answer).
            self.end()
            return result
        return wrapped_body(result, self.run, self.end)


def presented(environ: Mapping[str, Any], header: str, cookie: str) -> str | None:
    """A value that a request carries in a header or else in a cookie."""
    value = environ.get(header)
    if isinstance(value, str):
        return value.strip()
    cookies = environ.get("HTTP_COOKIE")
    if isinstance(cookies, str) and cookie in cookies:
        # Not werkzeug.http's: that refuses the whole header for one byte that is no UTF-8, in whichever cookie.
        from werkzeug.sansio.http import parse_cookie

        return parse_cookie(cookies).get(cookie)
    return None


def label(environ: Mapping[str, Any]) -> str:
    """A request as its thread and the log name it: ``GET /checkout``, without the query, which may hold secrets."""
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}" or "/"
    printable = "".join(character if character.isprintable() else "?" for character in path[:200])
    return f"{str(environ.get('REQUEST_METHOD', '?'))[:20]} {printable}"


def shown_label(environ: Mapping[str, Any]) -> str:
    """A request as its developer's IDE names it, query included: ``GET /checkout?item=3``, of 120 characters at most. It goes
    to whoever has sent it, and into no log.
    """
    query = str(environ.get("QUERY_STRING", ""))
    full = label(environ) + (f"?{query}" if query else "")
    printable = "".join(character if character.isprintable() else "?" for character in full[:1000])
    return printable if len(printable) <= _SHOWN else f"{printable[: _SHOWN - 1]}…"


def _is_server_error(arguments: tuple[Any, ...]) -> bool:
    """Whether ``start_response`` is called with a 5xx status, the server's own fault (RFC 9110, 15.6)."""
    return bool(arguments) and type(arguments[0]) is str and arguments[0].startswith("5")


def _is_announced(header: object) -> bool:
    """Whether another StageDoor has put this header there: where one wraps another, the outer one is right."""
    return isinstance(header, tuple) and header[:1] == (RESPONSE_HEADER,)


def _busy(reason: str) -> str:
    return f"busy; reason={_quoted(reason)}"


def _quoted(text: str) -> str:
    """The quoted string of a header (RFC 9110, 5.6.4)."""
    plain = "".join(
        character if " " <= character <= "~" and character not in '"\\' else "?" for character in text[:200]
    )
    return f'"{plain}"'
