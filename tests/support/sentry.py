"""Sentry's SDK with a transport of its own, which keeps the events in this process."""

from __future__ import annotations

from typing import Any

_events: list[str] = []


def collect_events() -> None:
    import sentry_sdk
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.transport import Transport

    class Collecting(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            for item in envelope.items:
                event: Any = item.payload.json
                if item.headers.get("type") == "event":
                    _events.extend(value["type"] for value in event["exception"]["values"])

    sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", transport=Collecting, default_integrations=True)


def collected() -> list[str]:
    """The types of the errors that were reported so far."""
    return list(_events)
