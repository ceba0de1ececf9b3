"""A Flask application whose views are those of :mod:`support.async_views`."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, Response, g, request

import stagedoor
from support.async_views import SYNC_VIEWS, VIEWS, half

app = Flask(__name__)


@app.before_request
async def make() -> None:
    """A job that a coroutine makes, for what the request does when that is over."""
    if request.path == "/kept":  # stop: entry
        g.job = stagedoor.traced(half)


@app.get("/kept")
def kept() -> str:
    with ThreadPoolExecutor(1) as threads:
        return f"kept {threads.submit(g.job, 8).result()}"


@app.after_request
def look(response: Response) -> Response:
    """The user's code on the thread that serves the request, when the view is over."""
    return response


for name, view in (VIEWS | SYNC_VIEWS).items():
    app.add_url_rule(f"/{name}", name, view)

if not os.environ.get("STAGEDOOR_TESTS_PLAIN"):
    from stagedoor.integrations.flask import StageDoor

    StageDoor(app)
