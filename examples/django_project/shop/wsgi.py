"""gunicorn --threads 8 shop.wsgi"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

from stagedoor.integrations.django import get_wsgi_application

application = get_wsgi_application()
