"""The addresses from which the tests send requests: all of 127.0.0.0/8 is this machine."""

from __future__ import annotations

#: The one that is allowed, and one that is not.
ALLOWED, OTHER = "127.0.0.2", "127.0.0.3"
