"""WSGI applications for Django's setting ``WSGI_APPLICATION``, in right and wrong orders."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application as get_bare_application
from werkzeug.middleware.proxy_fix import ProxyFix

from stagedoor import StageDoor
from stagedoor.integrations.django import get_wsgi_application

bare = get_bare_application()
wrapped = get_wsgi_application(allow="192.0.2.1", switch="memory")
nobody = get_wsgi_application(switch="memory")
behind_proxy = ProxyFix(wrapped)
proxy_inside = StageDoor(ProxyFix(bare), allow="192.0.2.1", switch="memory")
