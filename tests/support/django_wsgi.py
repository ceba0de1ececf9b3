"""``wsgi.py`` of :mod:`support.django_site`, with Stagedoor unless ``STAGEDOOR_TESTS_PLAIN=1``."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "support.django_site")

if os.environ.get("STAGEDOOR_TESTS_PLAIN"):
    from django.core.wsgi import get_wsgi_application
else:
    from stagedoor.integrations.django import get_wsgi_application

application = get_wsgi_application()

if "STAGEDOOR_TESTS_DATABASE" in os.environ:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS notes (text)")
    connection.close()
