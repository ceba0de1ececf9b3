"""Stagedoor as a Django app: it stops on the error of which Django makes a 500 page, with ``DEBUG`` off.

.. code-block:: python

    # settings.py
    INSTALLED_APPS += ["stagedoor.integrations.django"]
    STAGEDOOR_ALLOW = ["203.0.113.7"]

    # wsgi.py
    from stagedoor.integrations.django import get_wsgi_application

    application = get_wsgi_application()

The app brings system checks and the command ``manage.py stagedoor``.
"""

from __future__ import annotations

from typing import Any

from stagedoor.middleware import StageDoor


def get_wsgi_application(**keywords: Any) -> StageDoor:
    """Django's WSGI application behind Stagedoor, in place of :func:`django.core.wsgi.get_wsgi_application`.

    Behind a reverse proxy, apply :class:`~werkzeug.middleware.proxy_fix.ProxyFix` to what this returns.

    :param keywords: as for :class:`stagedoor.StageDoor`. One that is not given is read from Django's settings, as
        ``STAGEDOOR_ALLOW`` and so on, and then from the environment.
    :raises ConfigurationError: if a setting is wrong; the message names it as it was given.
    """
    from django.core.wsgi import get_wsgi_application as get_bare_application

    from stagedoor.integrations.configuration import make_door

    from . import signals
    from .configuration import configuration

    application = get_bare_application()
    signals.connect()
    return make_door(application, keywords, configuration())
