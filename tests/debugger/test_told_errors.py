"""Errors of which an application makes its own page: those stop that it tells of, and that are its own fault."""

from __future__ import annotations

import os

import pytest

from conftest import OpenSite
from support.servers import ALLOWED
from support.waiting import wait_for

OLD_BOTTLE = os.environ.get("STAGEDOOR_TESTS_BOTTLE", "")
needs_old_bottle = pytest.mark.skipif(
    not OLD_BOTTLE, reason="STAGEDOOR_TESTS_BOTTLE names no folder into which pip has installed bottle 0.12"
)


def test_exc_info_stops_for_what_becomes_a_5xx_and_for_nothing_else(own_site: OpenSite) -> None:
    site = own_site("told")
    ide = site.attached("uncaught")
    for status in (404, 400, 302):
        # Nobody lets it run on: it would not come.
        answer = site.get(f"/{status}", ALLOWED)
        assert (answer.status, "client=attached" in answer.headers["Stagedoor"]) == (status, True)
    assert "paused: " not in site.log
    for status in (500, 503):
        pending = site.start_get(f"/{status}")
        stop = ide.stopped()
        assert (stop.reason, stop.frame()["line"], stop.locals()["wanted"]) == (
            "exception", site.line("fail"), f"'{status}'",
        )  # fmt: skip
        stop.resume()
        assert (pending.answer().status, pending.answer().body) == (status, f"page {status}")


@pytest.mark.parametrize("status", [500, 404])
def test_an_error_after_a_partly_sent_response_stops_once(own_site: OpenSite, status: int) -> None:
    # There is no page any more: the server raises it again, and the response breaks off, whatever the status was.
    site = own_site("told")
    ide = site.attached("uncaught")
    pending = site.start_raw(f"/partly/{status}")
    stop = ide.stopped()
    assert stop.frame()["line"] == site.line("fail")
    stop.resume()
    assert b"first" in pending.result(10)
    assert b"page" not in pending.result(10)
    assert site.log.count("paused: ") == 1


@needs_old_bottle
def test_a_bottle_that_tells_nobody_of_errors_is_a_seed_of_trouble(own_site: OpenSite) -> None:
    site = own_site("bottle", PYTHONPATH=OLD_BOTTLE, STAGEDOOR_TESTS_QUIET="1")
    with site.ide(exception_filters=("uncaught",)):
        assert site.get("/view", ALLOWED).status == 500
        wait_for(lambda: "Bottle 0.12.25 makes a 500 page of every error" in site.log, "the log to say so")
        assert "paused: " not in site.log


@pytest.mark.parametrize(
    "bottle", [pytest.param("", id="the newest"), pytest.param(OLD_BOTTLE, id="0.12", marks=needs_old_bottle)]
)
def test_with_the_remedy_every_bottle_stops_once_and_is_no_trouble(own_site: OpenSite, bottle: str) -> None:
    site = own_site("bottle", PYTHONPATH=bottle)
    ide = site.attached("uncaught")
    pending = site.start_get("/view")
    stop = ide.stopped()
    assert stop.frame()["line"] == site.line("view")
    stop.resume()
    assert (pending.answer().status, pending.answer().body) == (500, "sorry")
    assert "makes a 500 page" not in site.log
