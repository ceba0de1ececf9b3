"""Writing to a terminal: aligned lines of at most 80 columns, documents for scripts, errors of exactly one line."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Any

WIDTH = 80


def print_row(label: str, text: str, width: int = 14) -> None:
    """Print ``text`` in a column of its own beside ``label``.

    :param width: the label's columns, with two blanks before it.
    """
    _print_wrapped(text, f"  {label:<{width - 2}}", " " * width)


def print_item(number: int, text: str) -> None:
    """Print ``text`` as an item of a numbered list."""
    _print_wrapped(text, f"  {number}. ", " " * 5)


def print_paragraph(text: str) -> None:
    """Print ``text`` over the whole width."""
    _print_wrapped(text, "", "")


def print_json(document: dict[str, Any]) -> None:
    """Print ``document`` for a script."""
    print(json.dumps(document, indent=2))


def complain(sentence: str) -> None:
    """Print an error: one line on stderr, not wrapped, so that a script can show it as it is."""
    print(f"stagedoor: {printable(sentence)}", file=sys.stderr)


def printable(text: str) -> str:
    """``text`` as one line that a terminal shows and does not obey, whatever a path or an argument holds."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _print_wrapped(text: str, first: str, rest: str) -> None:
    # Words stay whole, however long, and so do hyphenated ones: paths, tokens and commands are there to be copied.
    wrapper = textwrap.TextWrapper(
        WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    # Flushed: whoever watches a demo through a pipe sees each line when it is true.
    print(wrapper.fill(printable(text)) or first.rstrip(), flush=True)
