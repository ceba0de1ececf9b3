"""The shop's pages."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

PRICES = {"apple": 30, "pear": 40}


def price(request: HttpRequest) -> HttpResponse:
    fruit = request.GET["fruit"]
    return HttpResponse(str(PRICES[fruit]))


urlpatterns = [path("price", price)]
