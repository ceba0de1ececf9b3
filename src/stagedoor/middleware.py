"""The WSGI middleware: address, decision, debugger, application."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .admission import Refusal, refusal
from .audit import Audit
from .clientaddr import client_address
from .debuggers.base import Debugger
from .settings import Settings
from .switches.base import Switch
from .tracing import Tracing
from .watch import WindowWatch
from .window import SYSTEM_CLOCK, Clock, Window, format_time

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TOKEN_HEADER, TOKEN_COOKIE = "HTTP_X_STAGEDOOR_TOKEN", "stagedoor_token"
DIRECTIVE_HEADER, DIRECTIVE_COOKIE = "HTTP_X_STAGEDOOR", "stagedoor"
RESPONSE_HEADER = "Stagedoor"


class StageDoor:
    """Lets a developer attach a debugger to a WSGI application: for allowed addresses, while a window is open.

    Each parameter but ``app`` and ``clock`` can also be set in the environment, as ``STAGEDOOR_ALLOW`` and so on; a
    keyword wins. A matching request is one that comes from an allowed address while a window is open (and carries the
    window's token, with ``require_token``). Every other request costs what an empty middleware costs, or little more,
    and is never paused.

    .. code-block:: python

        from stagedoor import StageDoor

        app.wsgi_app = StageDoor(app.wsgi_app, allow=["203.0.113.7", "2001:db8::/48"])

    Behind a reverse proxy, every request comes from the proxy's address until Werkzeug's
    :class:`~werkzeug.middleware.proxy_fix.ProxyFix` has put the visitor's address in its place. Apply it *after* this
    middleware, so that it runs before it, and with the number of proxies that you have: with a larger one, anybody can
    write an allowed address into ``X-Forwarded-For``.

    :param app: the application to wrap.
    :param allow: who may debug: addresses, CIDR networks, ranges and globs, as one comma or space separated string or
        an iterable of strings. Nobody by default.
    :param switch: where the window is stored: a path, ``"memory"``, or a :class:`~stagedoor.switches.base.Switch`. By
        default the environment's ``STAGEDOOR_UNTIL``, else the file at ``STAGEDOOR_SWITCH``, else a file in the user's
        runtime directory.
    :param bind: where the debug port is. By default ``127.0.0.1:5678``, which an SSH tunnel reaches.
    :param max_window: a longer window is refused. 8 hours by default.
    :param require_token: an allowed address is not enough: the request must carry the window's token, in the header
        ``X-Stagedoor-Token`` or the cookie ``stagedoor_token``. Off by default.
    :param forwarded: what to do with a request that has forwarding headers which no ``ProxyFix`` has handled:
        ``"refuse"`` it, the default, or ``"ignore"`` the headers, where they mean nothing.
    :param max_pause: a request that is paused longer is continued. 10 minutes by default.
    :param debugger: the debugger back end.
    :param clock: the clock seam, for tests.
    :raises ConfigurationError: if a setting is wrong; the message names it, its value, and what would be right.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        allow: str | Iterable[str] | None = None,
        switch: Switch | str | os.PathLike[str] | None = None,
        bind: str | None = None,
        max_window: timedelta | str | None = None,
        require_token: bool | None = None,
        forwarded: str | None = None,
        max_pause: timedelta | str | None = None,
        debugger: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = Settings.read(
            allow=allow,
            switch=switch,
            bind=bind,
            max_window=max_window,
            require_token=require_token,
            forwarded=forwarded,
            max_pause=max_pause,
            debugger=debugger,
            clock=clock,
        )
        self._app = app
        self._monotonic = clock.monotonic
        self._audit = Audit(clock.monotonic)
        self._allow = self.settings.allow
        self._watch = WindowWatch(self.settings.switch, self._audit, clock)
        self._debugger = _debugger(self.settings, self._watch, self._audit)
        self._matched: set[tuple[str, str]] = set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        now = self._monotonic()
        if now < self._watch.closed_until or (window := self._admit(environ, now)) is None:
            return self._app(environ, start_response)
        return self._debug(window, environ, start_response)

    def open(self, for_: timedelta, *, opened_by: str | None = None) -> Window:
        """Open a window, or change the end of the open one.

        :param for_: how long from now.
        :param opened_by: who opens it, for people to read; by default this process.
        :raises WindowRefused: if it is too long, or the switch can't be written.
        :raises SwitchError: if the switch can't be trusted.
        """
        window = self.settings.switch.open(for_, opened_by=opened_by or f"process {os.getpid()}")
        self._watch.current(look=True)
        return window

    def close(self) -> bool:
        """Close the window, and wait until everything has ended in this process. Returns whether one was open.

        :raises WindowRefused: if the switch can't be written.
        :raises SwitchError: if the switch can't be trusted.
        """
        was_open = self.settings.switch.close()
        self._watch.current(look=True)
        self._debugger.stop()
        return was_open

    def _admit(self, environ: WSGIEnvironment, now: float) -> Window | None:
        """The open window, if this is a matching request."""
        try:
            watch = self._watch
            window = watch.window if now < watch.open_until else watch.current()
            if window is None:
                return None
            remote = environ.get("REMOTE_ADDR")
            if remote not in self._allow and self._audit.is_quiet(str(remote), now):
                # What follows would come to the same, with a sentence that nobody reads.
                return None
            address = client_address(environ, forwarded=self.settings.forwarded)
            refused: Refusal | None
            if isinstance(address, Refusal):
                refused, address = address, str(remote)
            else:
                refused = refusal(
                    address,
                    self._allow,
                    token=window.token,
                    presented=_presented(environ, TOKEN_HEADER, TOKEN_COOKIE),
                    require_token=self.settings.require_token,
                )
            if refused is None:
                self._record_match(window, address, environ)
                return window
            level = logging.INFO if refused.code == "address" else logging.WARNING
            self._audit.refused(address, refused.code, refused.sentence, level=level)
        except Exception as error:
            self._record_error("deciding on a request", error)
        return None

    def _debug(self, window: Window, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        visit = _Visit(self, window, environ)
        try:
            result = self._app(environ, visit.announce(start_response))
        except BaseException:
            visit.leave()
            raise
        return visit.body(result, environ)

    def _record_match(self, window: Window, address: str, environ: WSGIEnvironment) -> None:
        if (window.token, address) not in self._matched:
            if len(self._matched) >= 1024:
                self._matched.clear()
            self._matched.add((window.token, address))
            label = _label(environ)
            self._audit.record(
                "matched", f"{label} from {address}, the first of this window", address=address, request=label
            )

    def _record_error(self, doing: str, error: Exception) -> None:
        problem = f"{type(error).__name__} while {doing}: {error}"
        self._audit.failed(doing, f"{problem}. The request goes on undebugged.")


class _Visit:
    """One matching request: entered before the application is called, left when its body is closed."""

    def __init__(self, door: StageDoor, window: Window, environ: WSGIEnvironment) -> None:
        self._door = door
        self._tracing: Tracing | None = None
        self._thread = threading.get_ident()
        self._state = "waiting"
        try:
            self._enter(door._debugger, window, environ)
        except Exception as error:
            self._state = f"busy; reason={_quoted(type(error).__name__)}"
            door._record_error("starting the debugger", error)
        self._header = (RESPONSE_HEADER, f"open; until={format_time(window.expires_at)}; client={self._state}")

    def _enter(self, debugger: Debugger, window: Window, environ: WSGIEnvironment) -> None:
        directive = _presented(environ, DIRECTIVE_HEADER, DIRECTIVE_COOKIE)
        if directive == "ignore":
            self._state = "ignored"
            return
        reason = debugger.refusal(
            multiprocess=bool(environ.get("wsgi.multiprocess")), multithread=bool(environ.get("wsgi.multithread"))
        )
        if reason is not None:
            self._door._audit.failed("server", f"{reason} The request goes on undebugged.")
        else:
            label = _label(environ)
            tracing, reason = debugger.arm(window, label, multithread=bool(environ.get("wsgi.multithread")))
            if tracing is not None and tracing.attached:
                self._state = "attached"
                if tracing.is_full:
                    reason = "as many requests of this worker are paused as may be"
                elif tracing.enter(label, stop_at_entry=directive == "break"):
                    self._tracing = tracing
        if reason is not None:
            self._state = f"busy; reason={_quoted(reason)}"

    def announce(self, start_response: StartResponse) -> StartResponse:
        """``start_response`` that adds the header of a matching request's response."""

        def announcing(status: Any, headers: Any, *args: Any, **kwargs: Any) -> Callable[[bytes], object]:
            # What is not a list is the server's to refuse, with the error that it would have raised.
            announced = [*headers, self._header] if isinstance(headers, list) else headers
            return start_response(status, announced, *args, **kwargs)

        return announcing

    def leave(self) -> None:
        """The request is over; a second call does nothing. Never raises."""
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            try:
                tracing.leave(self._thread)
            except Exception as error:
                self._door._record_error("leaving a request", error)

    def body(self, result: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
        """The body to hand to the server: ``result``, wrapped only where code of the application runs later."""
        wrapper = environ.get("wsgi.file_wrapper")
        is_file = isinstance(wrapper, type) and isinstance(result, wrapper)
        if self._tracing is None or is_file or type(result) in (list, tuple, bytes):
            # Servers treat these in their own ways (sendfile, a Content-Length for a single block).
            self.leave()
            return result
        return _SizedBody(result, self) if hasattr(result, "__len__") else _Body(result, self)


class _Body:
    """A response body during which the request is still being served."""

    def __init__(self, result: Iterable[bytes], visit: _Visit) -> None:
        self._result = result
        self._visit = visit
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        if self._iterator is None:
            self._iterator = iter(self._result)
        return next(self._iterator)

    def close(self) -> None:
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            self._visit.leave()


class _SizedBody(_Body):
    """The same for a body whose number of blocks the server may ask for."""

    def __len__(self) -> int:
        return len(self._result)  # type: ignore[arg-type]


def _debugger(settings: Settings, watch: WindowWatch, audit: Audit) -> Debugger:
    if settings.debugger == "gatekeeper":
        from .debuggers.gatekeeper import GatekeeperDebugger

        return GatekeeperDebugger(settings.gatekeeper_config(), watch, audit, settings.max_pause)
    from .debuggers.listen import ListenDebugger

    return ListenDebugger(settings.bind, watch, audit, settings.max_pause)


def _presented(environ: WSGIEnvironment, header: str, cookie: str) -> str | None:
    """A value that a request carries in a header or else in a cookie."""
    value = environ.get(header)
    if isinstance(value, str):
        return value.strip()
    cookies = environ.get("HTTP_COOKIE")
    if isinstance(cookies, str) and cookie in cookies:
        from werkzeug.http import parse_cookie

        return parse_cookie(cookies).get(cookie)
    return None


def _label(environ: WSGIEnvironment) -> str:
    """A request as its thread and the log name it: ``GET /checkout``, without the query, which may hold secrets."""
    path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}" or "/"
    printable = "".join(character if character.isprintable() else "?" for character in path[:200])
    return f"{str(environ.get('REQUEST_METHOD', '?'))[:20]} {printable}"


def _quoted(reason: str) -> str:
    """A reason as a quoted string of a header (RFC 9110, 5.6.4)."""
    plain = "".join(
        character if " " <= character <= "~" and character not in '"\\' else "?" for character in reason[:200]
    )
    return f'"{plain}"'
