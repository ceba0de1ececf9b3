"""Django's signal for an error of which it makes a response."""

from __future__ import annotations

import sys

from django.core.signals import got_request_exception

from stagedoor.tracing import stop_on_exception


def connect() -> None:
    """Stop matching requests on unhandled errors from now on. A second call changes nothing."""
    got_request_exception.connect(_stop, dispatch_uid="stagedoor")


def _stop(sender: object, **others: object) -> None:
    # The signal is sent while the exception is being handled, and does not hold it.
    error = sys.exception()
    if error is not None:
        stop_on_exception(error)
