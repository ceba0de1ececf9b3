"""``stagedoor demo``: the product in one minute, on the terminal, with everything in it real and measured."""

from .serving import serve
from .story import play

__all__ = ["play", "serve"]
