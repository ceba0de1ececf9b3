"""What a gatekeeper is started with: the part of the settings that decides who may attach and what is written of them, and
with it the window.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import timedelta

from stagedoor.access.decision import TOKEN_SHOWN
from stagedoor.switches import FileSwitch
from stagedoor.window.document import dump_window, load_window
from stagedoor.window.window import Window, window_id


@dataclass(frozen=True, slots=True)
class GatekeeperConfig:
    """The settings of a gatekeeper. It is handed them with its window on its standard input.

    :param bind: the debug port, ``ADDRESS:PORT`` or ``unix:/path``.
    :param allow: the allowlist's entries.
    :param require_token: an allowed address is not enough.
    :param max_window: the longest window that is believed, in seconds.
    :param switch: the name of the switch, for people.
    :param switch_path: the file of a file switch, which the gatekeeper watches by itself; ``None`` for another switch.
    :param control: the path of the control socket.
    :param shared_token: every worker knows the window by the same token. Not so where each of them makes up its own,
        which is then no way to tell whether two of them mean the same window.
    :param audit_expressions: what developers evaluate is written into the audit log. Workers that think otherwise of it do
        not fit: the gatekeeper would have them write what their operator does not want in the log.
    :param token_shown: where a developer finds the token, as the end of a sentence.
    """

    bind: str
    allow: tuple[str, ...]
    require_token: bool
    max_window: float
    switch: str
    switch_path: str | None
    control: str
    shared_token: bool = True
    audit_expressions: bool = True
    token_shown: str = TOKEN_SHOWN

    def dump(self, window: Window) -> str:
        """These settings and a window, as one line with a JSON object: it holds the token."""
        return json.dumps(asdict(self) | {"window": dump_window(window)})

    @classmethod
    def load(cls, text: str) -> tuple[GatekeeperConfig, Window]:
        """:raises ValueError: if ``text`` is not what :meth:`dump` writes."""
        try:
            fields = json.loads(text)
            window = fields.pop("window")
            return cls(**(fields | {"allow": tuple(fields["allow"])})), load_window(window)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"no configuration of a gatekeeper: {error}") from error

    @property
    def digest(self) -> str:
        """Tells configurations apart: a worker with another one must not share this gatekeeper."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def longest(self) -> timedelta:
        return timedelta(seconds=self.max_window)

    def file_switch(self) -> FileSwitch | None:
        """The switch that the gatekeeper reads by itself; ``None`` if its workers have to tell what they read."""
        return FileSwitch(self.switch_path, max_window=self.longest) if self.switch_path is not None else None

    def window_id(self, window: Window) -> str:
        """Tells windows apart without giving the token away."""
        return window_id(window, by_token=self.shared_token)
