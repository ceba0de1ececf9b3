"""What Django's settings say of Stagedoor."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from stagedoor.integrations.configuration import PREFIX


def configuration() -> dict[str, Any]:
    """Django's settings whose names begin with ``STAGEDOOR_``."""
    return {name: getattr(settings, name) for name in dir(settings) if name.startswith(PREFIX)}


def wsgi_application() -> Any:
    """The application that ``WSGI_APPLICATION`` names, as runserver imports it; ``None`` if it names none.

    :raises ImportError: if there is none of that name; and whatever its module raises.
    """
    name = getattr(settings, "WSGI_APPLICATION", None)
    return import_string(name) if name else None
