"""A Pyramid application with an exception view. Without one, errors come out of it and the middleware is all it takes.

STAGEDOOR_ALLOW=203.0.113.7 gunicorn --threads 8 pyramid_app:application
"""

from __future__ import annotations

from collections.abc import Callable

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW

import stagedoor

PRICES = {"apple": 30, "pear": 40}

View = Callable[[Request], Response]


def price(request: Request) -> Response:
    fruit = request.params["fruit"]
    return Response(str(PRICES[fruit]))


def sorry(error: Exception, request: Request) -> Response:
    return Response("Sorry.", status=500)


def stop_on_errors(handler: View, registry: object) -> View:
    """A tween below the one that makes a response of an error."""

    def tween(request: Request) -> Response:
        try:
            return handler(request)
        except Exception as error:
            if not isinstance(error, Response):  # HTTPNotFound and its like are answers.
                stagedoor.stop_on_exception(error)
            raise

    return tween


with Configurator() as config:
    config.add_route("price", "/price")
    config.add_view(price, route_name="price")
    config.add_exception_view(sorry)
    config.add_tween("pyramid_app.stop_on_errors", under=EXCVIEW)

application = stagedoor.StageDoor(config.make_wsgi_app())
