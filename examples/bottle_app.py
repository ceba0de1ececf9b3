"""A Bottle application: Bottle (from 0.13) tells the server of an error with its 500 page, so it takes only the middleware.

STAGEDOOR_ALLOW=203.0.113.7 gunicorn --threads 8 bottle_app:application
"""

from __future__ import annotations

from bottle import Bottle, request

from stagedoor import StageDoor

app = Bottle()

PRICES = {"apple": 30, "pear": 40}


@app.get("/price")
def price() -> str:
    fruit = request.query.fruit
    return str(PRICES[fruit])


application = StageDoor(app)
