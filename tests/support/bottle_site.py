"""A Bottle application whose handler of errors tells Stagedoor of them. The line that fails ends in ``# stop: view``."""

from __future__ import annotations

import os

import bottle

import stagedoor

app = bottle.Bottle()


@app.get("/view")
def view() -> str:
    cart = {"apples": 3}
    return str(cart["pears"])  # stop: view


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


if not os.environ.get("STAGEDOOR_TESTS_QUIET"):

    @app.error(500)
    def sorry(error: bottle.HTTPError) -> str:
        stagedoor.stop_on_exception(error.exception)
        return "sorry"
