"""Every application of a process behind one StageDoor, which none of them can tell from none.

A request enters from the address that is allowed, or from a visitor's, whatever its test has written into the environ;
the application sees what the test has written. Of the response the one header is taken away that Stagedoor may add.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from wsgiref.util import setup_testing_defaults

from stagedoor import StageDoor
from stagedoor.serving import VISITOR, served
from support.addresses import ALLOWED, OTHER
from support.servers import free_port
from support.waiting import wait_for

Environ = dict[str, Any]
Application = Callable[..., Iterable[bytes]]

_APPLICATION = "stagedoor.tests.application"
#: What Stagedoor reads of a request and a test may have written as it likes.
_READ_BY_STAGEDOOR = ("REMOTE_ADDR", "wsgi.multithread", "wsgi.multiprocess")
_ABSENT: Any = object()

#: For each call of an application, whether it served a visitor; and for each that ran under the debugger, the same: the
#: client's breakpoint has a condition that adds to it and is never true.
called: list[bool] = []
looked: list[bool] = []


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application that a request is for, with the environ as its test has made it."""
    inner, written, for_visitor = environ.pop(_APPLICATION)
    called.append(for_visitor)
    for name, value in written.items():
        if value is _ABSENT:
            del environ[name]
        else:
            environ[name] = value
    return inner(environ, start_response)  # breakpoint


def breakpoint_line() -> int:
    with open(__file__, encoding="utf-8") as file:
        return next(number for number, line in enumerate(file, 1) if line.endswith("# breakpoint\n"))


class Door:
    """One window of one StageDoor, for all applications.

    :param debugger: the back end.
    :param visitors_every: each request whose number is a multiple of it comes from an address that is not allowed.
    """

    def __init__(self, debugger: str, visitors_every: int) -> None:
        self.port = free_port()
        self.counts: Counter[str] = Counter()
        self._every = visitors_every
        self._counting = threading.Lock()
        self._stagedoor = StageDoor(
            application, allow=[ALLOWED], switch="memory", bind=f"127.0.0.1:{self.port}", debugger=debugger,
            forwarded="ignore", max_pause="10s",
        )  # fmt: skip
        self.window = self._stagedoor.open(timedelta(hours=1))

    def wait_for_client(self, state: str) -> None:
        """Send matching requests until their responses say so: ``"waiting"``, ``"attached"``."""

        def says_so() -> bool:
            environ: Environ = {}
            setup_testing_defaults(environ)
            said: list[str] = []
            self._call(lambda environ, start: start("200 OK", []) and [], environ, lambda *_: _ignore, False, said)
            return any(f"client={state}" in each for each in said)

        wait_for(says_so, f"a response to say client={state}", timeout=60, every=0.05)

    def start_counting(self) -> None:
        self.counts.clear()
        called.clear()
        looked.clear()

    def wrap(self, inner: Application) -> Application:
        def wrapped(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
            if type(environ) is not dict:
                return inner(environ, start_response)
            with self._counting:
                self.counts["requests"] += 1
                # A request that the code of a debugged one sends, in the same process, is a part of that.
                is_visitor = self.counts["requests"] % self._every == 0 and served() in (None, VISITOR)
            return self._call(inner, environ, start_response, is_visitor, [])

        return wrapped

    def _call(
        self,
        inner: Application,
        environ: Environ,
        start_response: Callable[..., Any],
        for_visitor: bool,
        said: list[str],
    ) -> Iterable[bytes]:
        def start(*arguments: Any, **keywords: Any) -> Any:
            if len(arguments) > 1 and type(arguments[1]) is list:
                ours = [header for header in arguments[1] if isinstance(header, tuple) and header[:1] == ("Stagedoor",)]
                # Here, because an application that is a generator answers after its call.
                with self._counting:
                    self.counts["visitors told"] += for_visitor and bool(ours)
                    self.counts["answered"] += bool(ours) and not said
                    self.counts["refused"] += not said and any("client=busy" in value for _, value in ours)
                said.extend(value for _, value in ours)
                if ours:
                    headers = [header for header in arguments[1] if header not in ours]
                    arguments = (arguments[0], headers, *arguments[2:])
            return start_response(*arguments, **keywords)

        written = {name: environ.get(name, _ABSENT) for name in _READ_BY_STAGEDOOR}
        address = OTHER if for_visitor else ALLOWED
        environ.update({"REMOTE_ADDR": address, "wsgi.multithread": True, "wsgi.multiprocess": False})
        environ[_APPLICATION] = inner, written, for_visitor
        return self._stagedoor(environ, start)

    def close(self) -> dict[str, int]:
        """End the window; returns what was counted."""
        counted = {
            **self.counts,
            "matching": called.count(False),
            "visitors": called.count(True),
            "debugged": looked.count(False),
            "visitors debugged": looked.count(True),
        }
        self._stagedoor.close()
        return counted


def _ignore(block: bytes) -> None:
    pass
