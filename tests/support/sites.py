"""Flask and Django applications with production settings on real servers, with an IDE attached that stops on errors."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from stagedoor.dap.ide import Ide
from support.gatekeepers import GatedServer
from support.servers import ALLOWED
from support.waiting import wait_for

APPLICATIONS = {
    "flask": "support.flask_site:app",
    "django": "support.django_wsgi:application",
    "jobs": "support.jobs_site:application",
    "async_flask": "support.async_flask_site:app",
    "async_django": "support.django_wsgi:application",
    "late": "support.late_site:app",
    "told": "support.told_site:application",
    "bottle": "support.bottle_site:app",
}

_requests = ThreadPoolExecutor(16)


def served(*sites: object) -> pytest.MarkDecorator:
    """The test's ``shared_site``: each a framework and a server, or those as ``pytest.param``."""
    return pytest.mark.parametrize("shared_site", sites, indirect=True)


class Site(GatedServer):
    """A server of one of the applications, with a window open.

    :param site: which one; Flask's and Django's bring StageDoor with them.
    """

    def __init__(self, folder: Path, site: str, server: str = "waitress", *, options: str = "", **environ: str) -> None:
        self.site = site
        self.source = Path(__file__).with_name("async_views.py" if site.startswith("async") else f"{site}_site.py")
        self._folder = folder
        self._server = server
        self._attached: Ide | None = None
        self._attached_as: object = None
        brings_it = {} if site in ("jobs", "told", "bottle") else {"STAGEDOOR_TESTS_BARE": "1"}
        if site == "async_django":
            brings_it["DJANGO_SETTINGS_MODULE"] = "support.async_django_site"
        environ = {**brings_it, "STAGEDOOR_TESTS_DATABASE": str(folder / f"{server}.sqlite"), **environ}
        super().__init__(folder, server, app=APPLICATIONS[site], options=options, **environ)

    def start_window(self) -> None:
        """Open a window, and wait until an IDE can attach."""
        self.open()
        # The worker may still be about to notice that the last window was closed, so one request is not enough.
        wait_for(lambda: self.get("/pid", ALLOWED) and os.path.exists(self.control_path), "the gatekeeper to listen")
        self.noticed()

    @cached_property
    def plain(self) -> Site:
        """The same server without Stagedoor."""
        folder = self._folder / "plain"
        folder.mkdir()
        return Site(folder, self.site, self._server, STAGEDOOR_TESTS_PLAIN="1")

    def line(self, stop: str, file: Path | None = None) -> int:
        """The number of the application's line that ends in ``# stop: NAME``."""
        for number, line in enumerate((file or self.source).read_text().splitlines(), 1):
            if line.endswith(f"# stop: {stop}"):
                return number
        raise LookupError(stop)

    def attached(
        self, *filters: str, breakpoints: dict[str, list[int]] | None = None, arguments: dict[str, Any] | None = None
    ) -> Ide:
        """The IDE that is attached with these exception filters and breakpoints, or a new one."""
        wanted = (filters, breakpoints, arguments)
        if self._attached is None or self._attached_as != wanted:
            self.detach()
            self._attached = self.ide(breakpoints=breakpoints or {}, exception_filters=filters, arguments=arguments)
            self._attached_as = wanted
        return self._attached

    def detach(self) -> None:
        """Let the IDE leave, and the paused requests run on."""
        if self._attached is not None:
            self._attached.disconnect()
            self._attached = None

    def settle(self) -> None:
        """After a test: if it has left a request paused, the next one must not see it."""
        if self.log.count("paused: ") != self.log.count("resumed: "):
            self.detach()

    def raw(self, path: str, source: str = ALLOWED, timeout: float = 20) -> bytes:
        """All bytes of the response to a request, but for its date and Stagedoor's own header."""
        connection = socket.create_connection((self.host, self.port), timeout, (source, 0))
        with closing(connection):
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while block := connection.recv(65536):
                answer += block
        return re.sub(rb"(?m)^(Date|Stagedoor): .*\r\n", b"", answer)

    def start_raw(self, path: str) -> Future[bytes]:
        """The same on a thread of its own."""
        return _requests.submit(self.raw, path)

    def stop(self) -> None:
        if "plain" in self.__dict__:
            self.plain.stop()
        super().stop()


@contextmanager
def open_site(folder: Path, *arguments: Any, **keywords: Any) -> Iterator[Site]:
    """A :class:`Site` with a window open, which ends with the block and then shows what it has logged."""
    site = Site(folder, *arguments, **keywords)
    try:
        site.start_window()
        yield site
    finally:
        site.stop()
        print(site.log)
