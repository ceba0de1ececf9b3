"""A Django project whose views are those of :mod:`support.async_views`; :mod:`support.django_wsgi` serves it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from support.async_views import SYNC_VIEWS, VIEWS, blocks

DEBUG = False
ALLOWED_HOSTS = ["*"]
SECRET_KEY = "only for these tests"
ROOT_URLCONF = __name__
USE_TZ = True
INSTALLED_APPS: list[str] = []
if not os.environ.get("STAGEDOOR_TESTS_PLAIN"):
    INSTALLED_APPS += ["stagedoor.integrations.django"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
LOGGING = {"version": 1, "disable_existing_loggers": False}


def answering(function: Callable[[], Awaitable[Any]]) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    async def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse(await function())  # stop: entry

    return view


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(blocks())


def answering_at_once(function: Callable[[], str]) -> Callable[[HttpRequest], HttpResponse]:
    return lambda request: HttpResponse(function())


urlpatterns = [
    *(path(name, answering(function)) for name, function in VIEWS.items()),
    path("stream", stream),
    *(path(name, answering_at_once(each)) for name, each in SYNC_VIEWS.items()),
]
