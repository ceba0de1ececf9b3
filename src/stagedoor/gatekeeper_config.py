"""What a gatekeeper is started with: the part of the settings that decides who may attach, and the window."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from .window import Window, parse_time


@dataclass(frozen=True, slots=True)
class GatekeeperConfig:
    """Handed to the gatekeeper on its standard input, as one JSON object: it holds the token.

    :param bind: the debug port, ``ADDRESS:PORT`` or ``unix:/path``.
    :param allow: the allowlist's entries.
    :param require_token: an allowed address is not enough.
    :param max_window: the longest window that is believed, in seconds.
    :param switch: the name of the switch, for people.
    :param switch_path: the file of a file switch, which the gatekeeper watches by itself; ``None`` for another switch.
    :param control: the directory of the control socket.
    :param window: the window, as :func:`dump_window` writes it.
    """

    bind: str
    allow: tuple[str, ...]
    require_token: bool
    max_window: float
    switch: str
    switch_path: str | None
    control: str
    window: dict[str, str]

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> GatekeeperConfig:
        """:raises ValueError: if ``text`` is not what :meth:`dump` writes."""
        try:
            fields = json.loads(text)
            return cls(**(fields | {"allow": tuple(fields["allow"])}))
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no configuration of a gatekeeper: {error}") from error

    @property
    def digest(self) -> str:
        """Tells configurations apart: a worker with another one must not share this gatekeeper."""
        fields = asdict(self)
        del fields["window"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    @property
    def longest(self) -> timedelta:
        return timedelta(seconds=self.max_window)


def dump_window(window: Window) -> dict[str, str]:
    return {
        "opened_at": window.opened_at.isoformat(),
        "expires_at": window.expires_at.isoformat(),
        "opened_by": window.opened_by,
        "token": window.token,
    }


def load_window(fields: dict[str, str]) -> Window:
    """:raises ValueError: if it is not what :func:`dump_window` writes."""
    try:
        return Window(
            parse_time(fields["opened_at"]), parse_time(fields["expires_at"]), fields["opened_by"], fields["token"]
        )
    except KeyError as error:
        raise ValueError(f"no window: {error} is missing") from error


def window_id(window: Window) -> str:
    """Tells windows apart without giving the token away."""
    return hashlib.sha256(window.token.encode("utf-8", "surrogatepass")).hexdigest()[:16]
