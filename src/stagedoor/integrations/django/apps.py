"""The Django app: its label, and what is connected when Django has loaded it."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class StagedoorConfig(AppConfig):  # type: ignore[misc]
    """``"stagedoor.integrations.django"`` in ``INSTALLED_APPS``."""

    name = "stagedoor.integrations.django"
    label = "stagedoor"
    verbose_name = "Stagedoor"

    def ready(self) -> None:
        from . import signals
        from .checks import check_application, check_settings

        signals.connect()
        checks.register(check_settings, "stagedoor")
        checks.register(check_application, "stagedoor", deploy=True)
