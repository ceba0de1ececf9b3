"""What the arguments of an ``attach`` have to look like: what is wrong with them is said at once, and not only when the
first worker's debugger can't read them.

Those of other requests are read by pydevd, which answers what it can't read with an error: see
:meth:`stagedoor.tracing.commands.Commands.answer_every_request`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def attach_misfit(arguments: Mapping[str, Any]) -> str | None:
    """Why an ``attach`` with these arguments is refused, a sentence, or ``None``."""
    for key, problem, fits in _ATTACH_RULES:
        if key in arguments and not fits(arguments[key]):
            return f'"{key}" was refused: {problem}'
    return None


def _is_text(value: object) -> bool:
    # A line end comes along when a token is copied out of a terminal.
    return isinstance(value, str) and value.strip().isprintable()


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(member, str) for member in value)


def _are_path_mappings(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(member, dict) and all(isinstance(inner, str) for inner in member.values()) for member in value
    )


def _are_rules(value: object) -> bool:
    kinds = {"path": str, "module": str, "include": bool}
    return isinstance(value, list) and all(
        isinstance(member, dict) and all(isinstance(inner, kinds.get(key, object)) for key, inner in member.items())
        for member in value
    )


# Key, what is wrong, and which values are right, if the key is there: null is none of them. A token that can't be
# printed can't be compared either.
_ATTACH_RULES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("processId", 'nothing is injected into a process here. Use "connect".', lambda v: False),
    ("listen", 'no port is opened for a client. Use "connect".', lambda v: False),
    ("noDebug", "there would be nothing to attach for. Start with debugging.", lambda v: not v),
    ("stagedoorToken", "it has to be the window's token, as text.", _is_text),
    ("subProcessId", "it has to be the number of a process.", lambda v: type(v) is int),
    ("pathMappings", "it has to be a list of localRoot and remoteRoot, as text.", _are_path_mappings),
    ("rules", "it has to be a list of path or module, as text, with include.", _are_rules),
    ("debugOptions", "it has to be a list of names.", _are_texts),
    ("clientOS", 'it has to be "unix" or "windows".', lambda v: str(v).lower() in ("unix", "windows")),
)
