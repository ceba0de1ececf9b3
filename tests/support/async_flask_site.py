"""A Flask application whose views are those of :mod:`support.async_views`."""

from __future__ import annotations

import os

from flask import Flask, Response

from support.async_views import SYNC_VIEWS, VIEWS

app = Flask(__name__)


@app.after_request
def look(response: Response) -> Response:
    """The user's code on the thread that serves the request, when the view is over."""
    return response


for name, view in (VIEWS | SYNC_VIEWS).items():
    app.add_url_rule(f"/{name}", name, view)

if not os.environ.get("STAGEDOOR_TESTS_PLAIN"):
    from stagedoor.integrations.flask import StageDoor

    StageDoor(app)
