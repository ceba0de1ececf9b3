"""What of a client's requests is recorded because it runs or changes something in the application: a pure decision.

Looking at what is there (stacks, scopes, variables) is not; what came out of it never is. The texts are as they were typed:
whoever writes them down shortens them, and takes tokens out.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EVALUATED, CHANGED, JUMPED, INSTRUMENTED = "evaluated", "changed", "jumped", "instrumented"

#: Longer code is not read, and none of its text is recorded. Reading takes time, in which nobody else is served.
READ = 4000

#: What of a breakpoint's is run on requests, and how people call it.
INSTRUMENTS: Mapping[str, str] = {
    "condition": "condition",
    "hitCondition": "hit count",
    "logMessage": "log message",
}

#: Where the IDE asks for an evaluation. What a client writes there otherwise is a text of its own making.
_CONTEXTS: Mapping[str, str] = {"repl": "console", "watch": "watch", "hover": "hover", "clipboard": "clipboard"}
_OTHER = "other"

_NAME_BEFORE_CURSOR = re.compile(r"[\w.]*\Z")


@dataclass(frozen=True, slots=True)
class Deed:
    """One of them.

    :param event: the audit record's.
    :param text: the expression, the target of an assignment, or the instrument's; empty where none can be told without
        a value in it.
    :param how: where it was asked for, or which instrument it is.
    :param place: where it goes to, or is set; empty: where the request is paused.
    """

    event: str
    text: str = ""
    how: str = ""
    place: str = ""


def done(command: str, arguments: Mapping[str, Any]) -> tuple[Deed, ...]:
    """What a request to a worker's debugger is, besides looking; nothing of most."""
    decide = _DEEDS.get(command)
    return decide(arguments) if decide is not None else ()


def jumped(path: str, line: int) -> Deed:
    """A request is sent to another line."""
    return Deed(JUMPED, place=f"{path}:{line}")


def instrumented(
    path: str | None, entries: Iterable[Mapping[str, Any]], before: Iterable[Mapping[str, Any]]
) -> tuple[Deed, ...]:
    """What breakpoints run on requests, as far as that is new: a client sends all of a file again with each change.

    :param path: their file; ``None``: they are on functions.
    :param entries: the breakpoints, as DAP writes them.
    :param before: those that these replace.
    """
    known = {deed for entry in before for deed in _instruments(path, entry)}
    return tuple(deed for entry in entries for deed in _instruments(path, entry) if deed not in known)


def _instruments(path: str | None, entry: Mapping[str, Any]) -> list[Deed]:
    place = str(entry.get("name")) if path is None else f"{path}:{entry.get('line')}"
    return [Deed(INSTRUMENTED, str(entry[key]), how, place) for key, how in INSTRUMENTS.items() if entry.get(key)]


def _evaluate(arguments: Mapping[str, Any]) -> tuple[Deed, ...]:
    code, context = _text(arguments, "expression"), _CONTEXTS.get(_text(arguments, "context"), _OTHER)
    targets, rest = _parted(code)
    changed = (Deed(CHANGED, targets, context),) if targets else ()
    return changed if rest is None else (*changed, Deed(EVALUATED, rest, context))


def _complete(arguments: Mapping[str, Any]) -> tuple[Deed, ...]:
    """pydevd evaluates the name before the cursor."""
    lines = _text(arguments, "text").splitlines() or [""]
    line, column = arguments.get("line"), arguments.get("column")
    here = lines[line - 1] if type(line) is int and 0 < line <= len(lines) else lines[-1]
    before = here[: max(0, column - 1)] if type(column) is int else here
    found = _NAME_BEFORE_CURSOR.search(before[-READ:])
    return (Deed(EVALUATED, found[0] if found is not None else "", "completions"),)


def _set_variable(arguments: Mapping[str, Any]) -> tuple[Deed, ...]:
    return (Deed(CHANGED, _text(arguments, "name"), "variables"),)


def _set_expression(arguments: Mapping[str, Any]) -> tuple[Deed, ...]:
    return (Deed(CHANGED, _parted(_text(arguments, "expression"))[1] or "", "watch"),)


_DEEDS: Mapping[str, Callable[[Mapping[str, Any]], tuple[Deed, ...]]] = {
    "evaluate": _evaluate,
    "completions": _complete,
    "setVariable": _set_variable,
    "setExpression": _set_expression,
}


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key)
    return value if isinstance(value, str) else ""


def _parted(code: str) -> tuple[str, str | None]:
    """The targets of all assignments in ``code``, and what else there is without their values: ``None`` if nothing, empty
    if it can't be told, because it is no Python, or long.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(textwrap.dedent(code).strip()) if len(code) <= READ else None
        if module is None:
            return "", ""
        nodes = list(ast.walk(module))
        targets = [target for node in nodes for target in _targets(node)]
        if not targets:
            return "", code
        for node in nodes:
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                node.value = ast.Constant(...)
        rest = [node for node in module.body if not _targets(node)]
        named = ", ".join(dict.fromkeys(map(ast.unparse, targets)))
        return named, "\n".join(map(ast.unparse, rest)) if rest else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "", ""


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign | ast.Delete):
        return [single for target in node.targets for single in _single(target)]
    if isinstance(node, ast.AugAssign | ast.AnnAssign | ast.NamedExpr):
        return [node.target]
    return []


def _single(target: ast.expr) -> list[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        return [single for each in target.elts for single in _single(each)]
    return _single(target.value) if isinstance(target, ast.Starred) else [target]
