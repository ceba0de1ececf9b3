"""What the arguments of a client's requests have to look like, so that pydevd can read them.

pydevd answers most of what it can't read with an error. Of the rest its reader dies, without an answer, and the
worker's debugger ends with it. The shapes here were found by trying: debugpy 1.8.22, every argument of every request
that goes on, with values of every JSON type. They are those of the DAP specification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# A type; a dictionary of the keys that are read, with "?" at the end of one that may be absent or null; a list of one
# shape, for lists; or a set of the texts that are known.
_Shape = type | dict[str, Any] | list[Any] | frozenset[str]

_CONDITIONS: dict[str, _Shape] = {"condition?": str, "hitCondition?": str, "logMessage?": str}
_BREAK_MODES = frozenset({"never", "always", "unhandled", "userUnhandled"})

SHAPES: Mapping[str, dict[str, _Shape]] = {
    "setBreakpoints": {"source": {"path": str}, "breakpoints?": [{"line": int} | _CONDITIONS]},
    "setFunctionBreakpoints": {"breakpoints": [{"name": str} | _CONDITIONS]},
    "setExceptionBreakpoints": {
        "filters": [str],
        "exceptionOptions?": [{"path?": [{"names": [str]}], "breakMode": _BREAK_MODES}],
    },
    "stackTrace": {"threadId": int, "startFrame?": int, "levels?": int},
    "scopes": {"frameId": int},
    "variables": {"variablesReference": int, "start?": int, "count?": int},
    "setVariable": {"variablesReference": int, "name": str, "value": str},
    "evaluate": {"expression": str, "frameId": int, "context?": str},
    "setExpression": {"expression": str, "value": str, "frameId": int},
    "completions": {"text": str, "column": int, "line?": int, "frameId?": int},
    "exceptionInfo": {"threadId": int},
    "source": {"sourceReference": int},
    "stepIn": {"threadId": int, "targetId?": int},
    "stepInTargets": {"frameId": int},
    "gotoTargets": {"source": {"path": str}, "line": int},
    "goto": {"threadId": int, "targetId": int},
}

_NAMES = {str: "a text", int: "a whole number", dict: "an object", list: "a list"}


def misfit(command: str, arguments: object) -> str | None:
    """What is wrong with a request's arguments, a clause such as ``"source.path" has to be a text``, or ``None``."""
    shape = SHAPES.get(command)
    return None if shape is None else _misfit(arguments or {}, shape, "")


def _misfit(value: object, shape: _Shape, name: str) -> str | None:
    if isinstance(shape, type):
        # Not isinstance: true is no whole number here.
        return None if type(value) is shape else f'"{name}" has to be {_NAMES[shape]}'
    if isinstance(shape, frozenset):
        known = ", ".join(sorted(shape))
        return None if isinstance(value, str) and value in shape else f'"{name}" has to be one of: {known}'
    if type(value) is not type(shape):
        return f'"{name}" has to be {_NAMES[type(shape)]}'
    members = _keys(value, shape, name) if isinstance(value, dict) and isinstance(shape, dict) else []
    if isinstance(value, list) and isinstance(shape, list):
        members = [(member, shape[0], f"{name}[{index}]") for index, member in enumerate(value)]
    return next((found for member in members if (found := _misfit(*member)) is not None), None)


def _keys(value: dict[str, Any], shape: dict[str, Any], name: str) -> list[tuple[object, _Shape, str]]:
    prefix = f"{name}." if name else ""
    found = []
    for key, inner in shape.items():
        member = value.get(key.removesuffix("?"))
        if member is not None or not key.endswith("?"):
            found.append((member, inner, prefix + key.removesuffix("?")))
    return found


def attach_misfit(arguments: Mapping[str, Any]) -> str | None:
    """Why an ``attach`` with these arguments is refused, a sentence, or ``None``."""
    for key, problem, fits in _ATTACH_RULES:
        if key in arguments and not fits(arguments[key]):
            return f'"{key}" was refused: {problem}'
    return None


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


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
# printed can't be compared either. Of wrong values of the last four pydevd's reader dies.
_ATTACH_RULES: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("processId", 'nothing is injected into a process here. Use "connect".', lambda v: False),
    ("listen", 'no port is opened for a client. Use "connect".', lambda v: False),
    ("noDebug", "there would be nothing to attach for. Start with debugging.", lambda v: not v),
    ("stagedoorToken", "it has to be the window's token, as text.", _is_printable),
    ("subProcessId", "it has to be the number of a process.", lambda v: type(v) is int),
    ("pathMappings", "it has to be a list of localRoot and remoteRoot, as text.", _are_path_mappings),
    ("rules", "it has to be a list of path or module, as text, with include.", _are_rules),
    ("debugOptions", "it has to be a list of names.", _are_texts),
    ("clientOS", 'it has to be "unix" or "windows".', lambda v: str(v).lower() in ("unix", "windows")),
)
