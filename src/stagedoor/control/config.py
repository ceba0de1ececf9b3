"""What a gatekeeper is started with: the part of the settings that decides who may attach, and the window."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from stagedoor.access.decision import TOKEN_SHOWN
from stagedoor.window.window import Window, is_name, is_token, parse_time, window_id


@dataclass(frozen=True, slots=True)
class GatekeeperConfig:
    """Handed to the gatekeeper on its standard input, as one line with a JSON object: it holds the token.

    :param bind: the debug port, ``ADDRESS:PORT`` or ``unix:/path``.
    :param allow: the allowlist's entries.
    :param require_token: an allowed address is not enough.
    :param max_window: the longest window that is believed, in seconds.
    :param switch: the name of the switch, for people.
    :param switch_path: the file of a file switch, which the gatekeeper watches by itself; ``None`` for another switch.
    :param control: the path of the control socket.
    :param window: the window, as :func:`dump_window` writes it.
    :param shared_token: every worker knows the window by the same token. Not so where each of them makes up its own,
        which is then no way to tell whether two of them mean the same window.
    :param token_shown: where a developer finds the token, as the end of a sentence.
    """

    bind: str
    allow: tuple[str, ...]
    require_token: bool
    max_window: float
    switch: str
    switch_path: str | None
    control: str
    window: dict[str, str]
    shared_token: bool = True
    token_shown: str = TOKEN_SHOWN

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

    def window_id(self, window: Window) -> str:
        """Tells windows apart without giving the token away."""
        return window_id(window, by_token=self.shared_token)


def dump_window(window: Window) -> dict[str, str]:
    """A window as JSON-ready fields. They hold the token."""
    return {
        "opened_at": window.opened_at.isoformat(),
        "expires_at": window.expires_at.isoformat(),
        "opened_by": window.opened_by,
        "token": window.token,
    }


def load_window(fields: dict[str, str]) -> Window:
    """:raises ValueError: if it is not what :func:`dump_window` writes."""
    try:
        opened_at, expires_at = parse_time(fields["opened_at"]), parse_time(fields["expires_at"])
        opened_by, token = fields["opened_by"], fields["token"]
        if is_name(opened_by) and is_token(token):
            return Window(opened_at, expires_at, opened_by, token)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no window: {error}") from error
    raise ValueError("no window: its token or the name of who opened it can't be one")
