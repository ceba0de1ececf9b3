"""Settings of a Django shop that can be debugged on a staging server."""

from __future__ import annotations

import os

DEBUG = False
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
USE_TZ = True

INSTALLED_APPS = ["stagedoor.integrations.django"]

# The addresses that may debug, once a window is open: manage.py stagedoor open --for 30m
STAGEDOOR_ALLOW = os.environ.get("SHOP_DEVELOPERS", "203.0.113.7")
