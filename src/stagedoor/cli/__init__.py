"""The command ``stagedoor``: what it is given, what each of its commands does, and how it speaks on a terminal."""

from .commands import main

__all__ = ["main"]
