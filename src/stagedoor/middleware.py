"""The WSGI middleware: address, decision, debugger, application."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from .access.carried_token import TOKEN_COOKIE, TOKEN_HEADER, take_token
from .access.client_address import client_address
from .access.copies import take_from_copies
from .access.decision import Admitted, Refusal, decide_request
from .access.trackers import hide_token_from_trackers
from .application.identity import identify
from .audit import Audit
from .request import Requests, label
from .serving import VISITOR, serve, served
from .settings.break_on import BreakOn
from .settings.settings import Settings
from .switches.base import Switch
from .window.window import SYSTEM_CLOCK, Clock, Window
from .worker.backend import Debugger
from .worker.diagnostics import proxy_fix_remedy_for
from .worker.servers import entrances
from .worker.watch import WindowWatch

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class StageDoor:
    """Lets a developer attach a debugger to a WSGI application: for allowed addresses, while a window is open.

    Each parameter but ``app`` and ``clock`` can also be set in the environment, as ``STAGEDOOR_ALLOW`` and so on; a
    keyword wins. A matching request is one that comes from an allowed address while a window is open (and carries the
    window's token or a pass, with ``require_token``). Every other request costs what an empty middleware costs, or little more,
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
    :param select: which requests match. ``"address"``, the default: those from allowed addresses. ``"token"``: those of any
        address that carry the window's token or a pass over https, and no others; for developers whose address changes.
        Who may attach at the debug port is the same with both.
    :param require_token: an allowed address is not enough: the request must carry the window's token or a pass, in the
        header ``X-Stagedoor-Token`` or the cookie ``stagedoor_token``. Off by default.
    :param forwarded: what to do with a request that has forwarding headers which no ``ProxyFix`` has handled:
        ``"refuse"`` it, the default, or ``"ignore"`` the headers, where they mean nothing.
    :param max_pause: a request that is paused longer is continued. 10 minutes by default.
    :param debugger: the debugger back end.
    :param break_on: which matching requests stop at their first line of the user's code by themselves: the beginnings
        of their paths (``["/checkout"]`` means ``/checkout`` and all below it), or a function of the environ. A
        function that fails is recorded, and the request goes on. None by default.
    :param threads: how many requests one process of the server handles at the same time, for a server that can't be asked.
        One thread is always left for the others, so nothing is paused where the number is not known. By default it is
        what the server itself says (gunicorn, waitress, uWSGI, mod_wsgi, Werkzeug, and all that call the application in
        a :class:`~concurrent.futures.ThreadPoolExecutor`, whose own number counts), else as many requests as were seen
        inside at once.
    :param audit_expressions: whether the audit log has the texts of what developers evaluate, and of conditions and log
        messages. On by default; without them it says only who did so, in which request and where.
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
        select: str | None = None,
        require_token: bool | None = None,
        forwarded: str | None = None,
        max_pause: timedelta | str | None = None,
        debugger: str | None = None,
        break_on: BreakOn | str | Iterable[str] | None = None,
        threads: int | str | None = None,
        audit_expressions: bool | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = Settings.read(
            allow=allow,
            switch=switch,
            bind=bind,
            max_window=max_window,
            select=select,
            require_token=require_token,
            forwarded=forwarded,
            max_pause=max_pause,
            debugger=debugger,
            break_on=break_on,
            threads=threads,
            audit_expressions=audit_expressions,
            clock=clock,
        )
        self._app = app
        self._monotonic = clock.monotonic
        self._audit = Audit(clock.monotonic)
        self._allow = self.settings.allow
        register = self.settings.register(identify(app))
        self._watch = WindowWatch(self.settings.switch, self._audit, clock, register)
        self._debugger = _debugger(self.settings, self._watch, self._audit)
        self._requests = Requests(self._debugger, self._audit, self.settings.break_on)
        self._by_token = self.settings.select == "token"
        self._is_allowed = _nobody if self._by_token else self._allow.is_allowed
        #: What most requests are refused for, which has a limit of its own.
        self._usual = "select" if self._by_token else "address"
        self._strangers = self._audit.limit(self._usual)
        self._told_of_http = ""
        self._matched: set[tuple[str, str, str]] = set()
        self._remedy: str | None = None
        for sentence in self.settings.doubts():
            self._audit.record("trouble", sentence, level=logging.WARNING)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        now = self._monotonic()
        if now < self._watch.closed_until or (admitted := self._admit(environ, now)) is None:
            return self._app(environ, start_response)
        return self._requests.serve(self._app, *admitted, environ, start_response)

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

    def _admit(self, environ: WSGIEnvironment, now: float) -> tuple[Window, str] | None:
        """The open window, and whose request this is, if it is a matching one."""
        try:
            watch = self._watch
            window = watch.window if now < watch.open_until else watch.current()
            if window is None:
                return None
            if served() is None:
                # Also for requests that are let in: their threads serve somebody else next.
                serve(VISITOR)
            carried: Sequence[str] = ()
            # No call: every request in an open window comes here.
            if TOKEN_HEADER in environ or ("HTTP_COOKIE" in environ and TOKEN_COOKIE in environ["HTTP_COOKIE"]):
                carried = take_token(environ)
                take_from_copies(environ)
                hide_token_from_trackers()
            remote = environ.get("REMOTE_ADDR")
            # Nor here. Whoever is in that dictionary was not on the allowlist, which stays as it is; or, where tokens are
            # what counts, carried none, which this request may.
            strangers = self._strangers
            if (
                (not self._is_allowed(remote))
                if now < strangers.full_until
                else strangers.quiet_until.get(remote, 0.0) > now
            ) and not (carried and self._by_token):
                # What follows would come to the same, with a sentence that nobody reads.
                strangers.suppressed += 1
                return None
            address = client_address(environ, forwarded=self.settings.forwarded, remedy=self._proxy_fix_remedy)
            decision: Admitted | Refusal
            if isinstance(address, Refusal):
                decision, address = address, str(remote)
                self._requests.lookout.look(self._app, window, environ)
            else:
                decision = decide_request(
                    address,
                    self._allow,
                    token=window.token,
                    carried=carried,
                    require_token=self.settings.require_token,
                    select=self.settings.select,
                    is_https=environ.get("wsgi.url_scheme") == "https",
                    shown=self.settings.switch.token_shown,
                )
            if isinstance(decision, Admitted):
                self._record_match(window, decision.owner, address, environ)
                return window, decision.owner
            self._record_refusal(window, decision, address)
            if self._by_token or remote not in self._allow:
                # By the spelling that its next request has, and whatever it was refused for.
                strangers.silence(remote, now)
        except Exception as error:
            self._audit.error("deciding on a request", error)
        return None

    def _proxy_fix_remedy(self) -> str:
        # Once: it looks through every module for a name, and where a proxy is on the allowlist all requests come here.
        if self._remedy is None:
            self._remedy = proxy_fix_remedy_for(self._app, self)
        return self._remedy

    def _record_refusal(self, window: Window, refused: Refusal, address: str) -> None:
        level = logging.INFO if refused.code == self._usual else logging.WARNING
        if refused.code != "http":
            self._audit.refused(address, refused.code, refused.sentence, level=level)
        elif self._told_of_http != window.token:
            # Once a window: whoever is refused so has a valid token or pass, and sends it with every request.
            self._told_of_http = window.token
            fields = {"address": address, "reason": refused.code, "suppressed": 0}
            self._audit.record("refused", refused.sentence, level=level, **fields)

    def _record_match(self, window: Window, owner: str, address: str, environ: WSGIEnvironment) -> None:
        if (window.token, owner, address) not in self._matched:
            if len(self._matched) >= 1024:
                self._matched.clear()
            self._matched.add((window.token, owner, address))
            request = label(environ)
            whose = f"{request} from {address}" if owner == address else f"{request} of {owner}, from {address}"
            self._audit.record(
                "matched", f"{whose}, the first of this window", address=address, owner=owner, request=request
            )


entrances.add(StageDoor.__call__.__code__)


def _nobody(address: object) -> bool:
    return False


def _debugger(settings: Settings, watch: WindowWatch, audit: Audit) -> Debugger:
    if settings.debugger == "gatekeeper":
        from .worker.membership import gatekeeper_debugger

        return gatekeeper_debugger(settings.gatekeeper_config(), watch, audit, settings.max_pause, settings.threads)
    from .worker.listen import listen_debugger

    return listen_debugger(settings.bind, watch, audit, settings.max_pause, settings.threads)
