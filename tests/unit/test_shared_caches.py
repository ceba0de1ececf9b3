"""Responses that say a shared cache may keep them: which do, and that the developer is told once."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import ServeGated
from stagedoor import StageDoor
from stagedoor.worker.shared_caches import kept_by_shared_caches
from support.servers import ALLOWED, OTHER
from support.stage import make_environ, serve
from support.waiting import wait_for


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        pytest.param([("Cache-Control", "public")], "Cache-Control: public", id="public"),
        pytest.param([("cache-control", "max-age=60, PUBLIC")], "cache-control: public", id="in any case"),
        pytest.param([("Cache-Control", "s-maxage=600")], "Cache-Control: s-maxage=600", id="s-maxage"),
        pytest.param([("Cache-Control", 's-maxage="600"')], "Cache-Control: s-maxage=600", id="s-maxage in quotes"),
        pytest.param([("Cache-Control", "max-age=5"), ("Cache-Control", "public")], "Cache-Control: public", id="two"),
        pytest.param([("CDN-Cache-Control", "max-age=60")], "CDN-Cache-Control: max-age=60", id="for CDNs"),
        pytest.param([("Surrogate-Control", "max-age=60")], "Surrogate-Control: max-age=60", id="for surrogates"),
        pytest.param(
            [("Cloudflare-CDN-Cache-Control", "public")], "Cloudflare-CDN-Cache-Control: public", id="for one CDN"
        ),
        pytest.param(
            [("Cache-Control", "s-maxage=" + "9" * 5000)], "Cache-Control: s-maxage=" + "9" * 5000, id="for ever"
        ),
        pytest.param([("Cache-Control", "s-maxage=000")], None, id="for no time, written at length"),
        pytest.param([], None, id="nothing"),
        pytest.param([("Cache-Control", "max-age=60")], None, id="what a browser may keep"),
        pytest.param([("Cache-Control", "private, max-age=60")], None, id="private"),
        pytest.param([("Cache-Control", "public, no-store")], None, id="public, and not to be stored"),
        pytest.param([("Cache-Control", "public"), ("Cache-Control", "private")], None, id="contradicting itself"),
        pytest.param([("Cache-Control", "s-maxage=0")], None, id="for no time"),
        pytest.param([("Cache-Control", "public, s-maxage=0")], None, id="public, for no time"),
        pytest.param([("Cache-Control", 'x="public, s-maxage=5"')], None, id="in somebody else's string"),
        pytest.param([("Cache-Control", "publication")], None, id="a longer word"),
        pytest.param([("X-Cache-Control", "public")], None, id="another header"),
        pytest.param([("Cache-Control", 5), ("Cache-Control",), None, "Cache-Control: public"], None, id="no headers"),
    ],
)
def test_what_a_shared_cache_may_keep(headers: list[Any], said: str | None) -> None:
    assert kept_by_shared_caches(headers) == said


@given(
    st.lists(
        st.one_of(st.text(), st.none(), st.tuples(st.text(), st.text()), st.tuples(st.just("cache-control"), st.text()))
    )
)
def test_whatever_the_headers_are_it_never_raises(headers: list[Any]) -> None:
    kept_by_shared_caches(headers)


def cacheable(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Cache-Control", "public, max-age=60")])
    return []


def test_it_is_pointed_out_once_in_a_window_and_to_nobody_but_a_developer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    door = StageDoor(cacheable, allow="203.0.113.7", switch="memory", debugger="listen", bind="127.0.0.1:1")

    def told() -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if "shared" in record.getMessage() or "public" in record.getMessage()
        ]

    for times in (1, 2):
        serve(door, make_environ("/", "203.0.113.7"))
        door.open(timedelta(minutes=5))
        serve(door, make_environ("/", OTHER))
        assert len(told()) == times - 1
        for _ in range(3):
            serve(door, make_environ("/checkout", "203.0.113.7", {"X-Stagedoor": "ignore"}))
        assert len(told()) == times
        door.close()
    assert told()[0].startswith("trouble: The response to GET /checkout says Cache-Control: public: a cache between")


def test_it_is_said_in_the_debug_console_too(
    serve_gated: ServeGated, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cacheable.py").write_text(
        "def application(environ, start_response):\n"
        "    start_response('200 OK', [('Cache-Control', 's-maxage=60'), ('Content-Type', 'text/plain')])\n"
        "    return [b'']\n"
    )
    server = serve_gated("waitress", app="cacheable:application", PYTHONPATH=str(tmp_path))
    server.open()
    wait_for(
        lambda: "client=waiting" in server.get("/", ALLOWED).headers.get("Stagedoor", ""), "the window to be noticed"
    )
    ide = wait_for(lambda: attached(server), "the gatekeeper to listen")
    server.get("/", ALLOWED)
    assert ide.session.wait_event("output", lambda body: "says Cache-Control: s-maxage=60" in body["output"])
    assert server.log.count("says Cache-Control: s-maxage=60") == 1


def attached(server: Any) -> Any:
    try:
        return server.ide(breakpoints={})
    except OSError:
        return None
