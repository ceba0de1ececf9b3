"""A plain Werkzeug application: errors come out of it, so the middleware is all that it takes.

STAGEDOOR_ALLOW=203.0.113.7 gunicorn --threads 8 werkzeug_app:application
"""

from __future__ import annotations

from werkzeug import Request, Response

from stagedoor import StageDoor

PRICES = {"apple": 30, "pear": 40}


@Request.application
def shop(request: Request) -> Response:
    fruit = request.args["fruit"]
    return Response(str(PRICES[fruit]))


application = StageDoor(shop)
