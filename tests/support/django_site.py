"""A Django project in one module, with production settings, in which things fail in every place where they can.

The lines at which tests stop end in ``# stop: NAME``. :mod:`support.django_wsgi` serves it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path

from support.application import report_process
from support.monitoring import global_events
from support.sentry import collect_events, collected

if "STAGEDOOR_TESTS_SENTRY" in os.environ:
    collect_events()

DEBUG = False
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "only for these tests, so that sessions work"
ROOT_URLCONF = __name__
USE_TZ = True
INSTALLED_APPS = ["django.contrib.sessions"]
if not os.environ.get("STAGEDOOR_TESTS_PLAIN"):
    INSTALLED_APPS += ["stagedoor.integrations.django"]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    f"{__name__}.check",
]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("STAGEDOOR_TESTS_DATABASE", ":memory:"),
        "ATOMIC_REQUESTS": True,
        "OPTIONS": {"timeout": 20},
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).with_name("templates") / "django"],
    }
]
LOGGING = {"version": 1, "disable_existing_loggers": False}


def check(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        if request.path == "/before":
            wanted = request.GET["wanted"]
            raise ValueError(wanted)  # stop: before
        return get_response(request)

    return middleware


def view(request: HttpRequest) -> HttpResponse:
    cart = {"apples": 3}
    price = cart["pears"]  # stop: view
    return HttpResponse(f"{price}")


def library(request: HttpRequest) -> HttpResponse:
    text = "{ half"
    return HttpResponse(str(json.loads(text)))  # stop: library


def price_of(fruit: str) -> int:
    prices: dict[str, int] = {}
    return prices[fruit]  # stop: template


def template(request: HttpRequest) -> HttpResponse:
    return render(request, "broken.html", {"price": lambda: price_of("pears")})


def page(request: HttpRequest) -> HttpResponse:
    return render(request, "page.html", {"basket": ["apple", "pear"]})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def blocks() -> Iterator[bytes]:
        sold = 1
        yield b"first\n"
        yield b"%d\n" % (sold / 0)  # stop: stream

    return StreamingHttpResponse(blocks())


class Failing(HttpResponse):
    def close(self) -> None:
        super().close()
        left = "the door"
        raise OSError(left)  # stop: close


def close(request: HttpRequest) -> HttpResponse:
    return Failing("closed")


def chained(request: HttpRequest) -> HttpResponse:
    try:
        {}["cause"]
    except KeyError as error:
        reason = "chained"
        raise RuntimeError(reason) from error  # stop: chained
    return HttpResponse()


def grouped(request: HttpRequest) -> HttpResponse:
    several = [ValueError("one"), ValueError("two")]
    raise ExceptionGroup("several", several)  # stop: grouped


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


def session(request: HttpRequest) -> HttpResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    if "fail" in request.GET:
        raise RuntimeError("after the session was written")  # stop: session
    return HttpResponse(str(request.session["visits"]))


def write(request: HttpRequest) -> HttpResponse:
    """Writes a note, in the transaction that Django puts around a view."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO notes VALUES ('written')")
    if "fail" in request.GET:
        raise RuntimeError("after the note was written")  # stop: write
    return HttpResponse("written")


@transaction.non_atomic_requests
def notes(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM notes")
        return HttpResponse(str(cursor.fetchone()[0]))


@transaction.non_atomic_requests
def hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


@transaction.non_atomic_requests
def pid(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(os.getpid()))


@transaction.non_atomic_requests
def report(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(report_process() | {"global_events": global_events()}))


@transaction.non_atomic_requests
def events(request: HttpRequest) -> HttpResponse:
    return HttpResponse(json.dumps(collected()))


urlpatterns = [
    path(found.__name__, found)
    for found in (
        view, library, template, page, stream, close, chained, grouped, missing, session, write, notes, hello, pid,
        report, events,
    )
]  # fmt: skip
