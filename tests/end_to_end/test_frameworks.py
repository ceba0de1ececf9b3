"""The examples, each under a real server: a matching request stops on the line that failed; all get their 500."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.gatekeepers import GatedServer
from support.modules import ROOT
from support.servers import ALLOWED, OTHER
from support.waiting import wait_for

EXAMPLES = ROOT / "examples"


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatedServer]:
    application, folder = request.param
    started = GatedServer(
        tmp_path,
        "waitress",
        app=application,
        STAGEDOOR_TESTS_BARE="1",
        PYTHONPATH=os.pathsep.join([str(EXAMPLES / folder), *filter(None, [os.environ.get("PYTHONPATH")])]),
        DJANGO_SECRET_KEY="only for these tests",
        SHOP_DEVELOPERS=ALLOWED,
    )
    yield started
    started.stop()
    print(started.log)


@pytest.mark.parametrize(
    ("server", "file", "body"),
    [
        pytest.param(("flask_app:app", ""), "flask_app.py", "Internal Server Error", id="Flask"),
        pytest.param(("shop.wsgi:application", "django_project"), "urls.py", "Server Error (500)", id="Django"),
        pytest.param(("bottle_app:application", ""), "bottle_app.py", "Internal Server Error", id="Bottle"),
        pytest.param(("pyramid_app:application", ""), "pyramid_app.py", "Sorry.", id="Pyramid"),
        pytest.param(("falcon_app:application", ""), "falcon_app.py", "Internal Server Error", id="Falcon"),
        pytest.param(("werkzeug_app:application", ""), "werkzeug_app.py", "Internal Server Error", id="Werkzeug"),
    ],
    indirect=["server"],
)
def test_an_example_stops_on_the_line_that_failed(server: GatedServer, file: str, body: str) -> None:
    assert server.get("/price?fruit=pear", OTHER).body == "40"
    expected = server.get("/price?fruit=plum", OTHER)
    assert (expected.status, body in expected.body) == (500, True)

    server.open()
    wait_for(lambda: "Stagedoor" in server.get("/price?fruit=pear", ALLOWED).headers, "the server to notice the window")
    wait_for(lambda: os.path.exists(server.control_path), "the gatekeeper to listen")
    ide = server.ide(exception_filters=("uncaught",))

    # What frameworks raise to answer with is no error: nothing stops for a page that is not there.
    assert server.get("/nowhere", ALLOWED).status in (400, 404)
    pending = server.start_get("/price?fruit=plum", ALLOWED)
    found = ide.stopped()
    frame = found.frame()
    assert Path(frame["source"]["path"]).name == file
    assert found.session.evaluate("fruit", frame["id"], "watch") == "'plum'"
    assert server.get("/price?fruit=plum", OTHER).body == expected.body
    found.resume()
    answer = pending.answer()
    assert (answer.status, answer.body) == (500, expected.body)
