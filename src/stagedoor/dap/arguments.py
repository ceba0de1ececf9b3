"""The arguments of an ``attach``: what they have to look like, and what of them the debuggers get. What is wrong with them
is said at once, and not only when the first worker's debugger can't read them.

Those of other requests are read by pydevd, which answers what it can't read with an error: see
:meth:`stagedoor.tracing.commands.Commands.answer_every_request`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: The keys of ``attach`` that go on: how the client's files are called here, what counts as the developer's own
#: code, how values are shown. Dropped, besides all that nobody reads: ``host``, ``port``, ``connect`` (how the
#: client got here), ``options`` (would override ``debugOptions``), ``onTerminate``, ``program``, ``stopOnEntry``
#: (for launch, or for what is forced off), ``isOutputRedirected`` (hides what an expression prints) and
#: ``guiEventLoop`` (pydevd imports what it names).
ATTACH_KEYS = frozenset({
    "breakOnSystemExit", "breakOnSystemExitZero", "clientOS", "debugOptions", "debugStdLib", "django", "flask",
    "jinja", "justMyCode", "maxExceptionStackFrames", "pathMappings", "resolveSymlinks", "rules", "showReturnValue",
    "variablePresentation",
})  # fmt: skip

#: What every ``attach`` says, whatever the client asked for.
FORCED_ATTACH: dict[str, object] = {
    "stopAllThreadsOnSuspend": False,  # a breakpoint would freeze everybody's requests
    "steppingResumesAllThreads": False,  # pydevd's default: a step would continue every paused request
    "terminateChildProcesses": False,  # pydevd's default: the application's processes are not ours to end
    "redirectOutput": False,  # everybody's output, with what is in it, would go to the client
    "autoReload": {"enable": False},  # changed code would be loaded into the worker for everybody
}

#: The members of ``debugOptions`` that go on, older spellings of keys above. VS Code also sends ``RedirectOutput``
#: (forced off) and ``Multiprocess`` (read by nobody); the rest is about launching.
DEBUG_OPTIONS = frozenset({
    "BreakOnSystemExitZero", "DebugStdLib", "Django", "Flask", "Jinja", "ShowReturnValue", "UnixClient",
    "WindowsClient",
})  # fmt: skip

#: What the gatekeeper does itself when it is the one client of a worker's debugger: each session's paths are its own.
OF_THE_PATHS = frozenset({"pathMappings", "clientOS", "UnixClient", "WindowsClient"})

#: How the gatekeeper itself writes paths.
_OUR_PATHS = {"clientOS": "unix"}


def attach_to_worker(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a worker's debugger is told with ``attach``, of the arguments of a client's that :func:`attach_misfit` has
    nothing against.
    """
    arguments = {key: value for key, value in given.items() if key in ATTACH_KEYS - OF_THE_PATHS}
    if "debugOptions" in given:
        options = DEBUG_OPTIONS - OF_THE_PATHS
        arguments["debugOptions"] = [option for option in given["debugOptions"] if option in options]
    return arguments | FORCED_ATTACH | _OUR_PATHS


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
    ("pathMappings", "it has to be a list of localRoot and remoteRoot, as text.", _are_path_mappings),
    ("rules", "it has to be a list of path or module, as text, with include.", _are_rules),
    ("debugOptions", "it has to be a list of names.", _are_texts),
    ("clientOS", 'it has to be "unix" or "windows".', lambda v: str(v).lower() in ("unix", "windows")),
)
