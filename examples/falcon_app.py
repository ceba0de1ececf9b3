"""A Falcon application: Falcon makes a response of every error, and tells its error reporter.

STAGEDOOR_ALLOW=203.0.113.7 gunicorn --threads 8 falcon_app:application
"""

from __future__ import annotations

from typing import Any

import falcon

import stagedoor

PRICES = {"apple": 30, "pear": 40}


class Price:
    def on_get(self, request: falcon.Request, response: falcon.Response) -> None:
        fruit = request.get_param("fruit", required=True)
        response.text = str(PRICES[fruit])


def stop_on_error(request: falcon.Request, error: Exception, params: dict[str, Any], handled: bool) -> None:
    if not isinstance(error, falcon.HTTPError | falcon.HTTPStatus):  # Those are answers.
        stagedoor.stop_on_exception(error)


app = falcon.App()
app.add_route("/price", Price())
app.set_error_reporter(stop_on_error)

application = stagedoor.StageDoor(app)
