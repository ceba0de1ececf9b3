"""A Flask application with production settings, in which things fail in every place where they can.

The lines at which tests stop end in ``# stop: NAME``. With ``STAGEDOOR_TESTS_PLAIN=1`` it runs without Stagedoor.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from flask import Flask, Response, abort, flash, get_flashed_messages, render_template, request, session

import stagedoor
from support.application import report_process
from support.monitoring import global_events
from support.sentry import collect_events, collected

if "STAGEDOOR_TESTS_SENTRY" in os.environ:
    collect_events()

app = Flask(__name__)
app.config["SECRET_KEY"] = "only for these tests, so that sessions work"
if "STAGEDOOR_TESTS_PROPAGATE" in os.environ:
    app.config["PROPAGATE_EXCEPTIONS"] = True


class Refused(Exception):
    """Has a handler of its own."""


@app.before_request
def check() -> None:
    if request.path == "/before":
        wanted = request.args["wanted"]
        raise PermissionError(wanted)  # stop: before


class Swallowed(Exception):
    """Has a handler that makes a page of it, and tells Stagedoor, because nobody else will."""


@app.errorhandler(Swallowed)
def swallow(error: Swallowed) -> tuple[str, int]:
    stagedoor.stop_on_exception(error)
    return "swallowed", 500


@app.errorhandler(Refused)
def show_refused(error: Refused) -> tuple[str, int]:
    return "refused", 418


@app.get("/view")
def view() -> str:
    cart = {"apples": 3}
    price = cart["pears"]  # stop: view
    return f"{price}"


@app.get("/library")
def library() -> str:
    text = "{ half"
    return str(json.loads(text))  # stop: library


@app.get("/nothing")
def nothing() -> None:
    """Flask says so in its own code, when no line of this one runs any more."""


class Answered(Exception):
    """Has a handler that makes a page of it, and tells nobody."""


@app.errorhandler(Answered)
def answer(error: Answered) -> tuple[str, int]:
    return "answered", 500


@app.get("/answered")
def answered() -> str:
    raise Answered


@app.get("/template")
def template() -> str:
    return render_template("broken.html", basket=None)  # stop: template


@app.get("/page")
def page() -> str:
    return render_template("page.html", basket=["apple", "pear"])


@app.get("/stream")
def stream() -> Response:
    def blocks() -> Iterator[str]:
        sold = 1
        yield "first\n"
        yield f"{sold / 0}\n"  # stop: stream

    return Response(blocks())


@app.get("/close")
def close() -> Response:
    response = Response("closed")

    @response.call_on_close
    def fail() -> None:
        left = "the door"
        raise OSError(left)  # stop: close

    return response


@app.get("/chained")
def chained() -> str:
    try:
        {}["cause"]
    except KeyError as error:
        reason = "chained"
        raise RuntimeError(reason) from error  # stop: chained
    return ""


@app.get("/grouped")
def grouped() -> str:
    several = [ValueError("one"), ValueError("two")]
    raise ExceptionGroup("several", several)  # stop: grouped


@app.get("/cleanup")
def cleanup() -> str:
    tidy = False
    try:
        raise LookupError("before the clean-up")  # stop: cleanup
    finally:
        tidy = not tidy


@app.get("/handled")
def handled() -> str:
    raise Refused


@app.get("/swallowed")
def swallowed() -> str:
    reason = "its own handler"
    raise Swallowed(reason)  # stop: swallowed


@app.get("/missing")
def missing() -> str:
    abort(404)


@app.get("/session")
def write_session() -> str:
    session["visits"] = session.get("visits", 0) + 1
    if "fail" in request.args:
        flash("flashed before the error")
        raise RuntimeError("after the session was written")  # stop: session
    return json.dumps([session["visits"], get_flashed_messages()])


@app.get("/wrapped")
def wrapped() -> str:
    try:
        return view()
    except KeyError as error:
        raise error from None  # stop: wrapped


@app.get("/hello")
def hello() -> str:
    return "hello"


@app.get("/pid")
def pid() -> str:
    return str(os.getpid())


@app.get("/report")
def report() -> str:
    return json.dumps(report_process() | {"global_events": global_events()})


@app.get("/events")
def events() -> str:
    return json.dumps(collected())


if not os.environ.get("STAGEDOOR_TESTS_PLAIN"):
    from stagedoor.integrations.flask import StageDoor

    StageDoor(app)
