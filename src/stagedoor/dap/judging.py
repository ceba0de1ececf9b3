"""What becomes of a client's message, by the table of :mod:`.commands`: a pure decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stagedoor.errors import shortened

from .arguments import attach_misfit, attach_to_worker
from .commands import COMMANDS, Phase, Row, Shape
from .places import Misfit, found
from .wire import Message


@dataclass(frozen=True, slots=True)
class GoesOn:
    """It concerns a worker: see :func:`stagedoor.dap.translation.mapped_arguments`.

    :param command: what the debugger is asked.
    :param arguments: the same, still with the session's numbers and the client's paths.
    """

    row: Row
    command: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnsweredHere:
    """The gatekeeper answers it.

    :param arguments: the client's; of an ``attach`` those for the workers' debuggers.
    :param body: the answer, if the table knows it.
    :param token: the ``stagedoorToken`` of an ``attach``, which isn't in ``arguments`` any more.
    """

    row: Row
    arguments: Mapping[str, Any]
    body: Mapping[str, object] | None = None
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Refuse:
    """The message stays here, and the client gets an error response (:func:`stagedoor.dap.wire.error_response`).

    :param sentence: what was refused, why and what to do instead.
    :param show_user: whether the client should show it in a notification of its own.
    """

    sentence: str
    show_user: bool = True


Verdict = GoesOn | AnsweredHere | Refuse

NOTHING_PAUSED = (
    "Nothing is evaluated while no request is paused: it would run in some thread of the server. "
    "Stop a request at a breakpoint and select one of its frames."
)
NO_URIS = 'The client writes paths as URIs, and debugpy reads only "pathFormat": "path".'


def judged(message: Message, phase: Phase) -> Verdict:
    """What becomes of a client's message. It is never changed itself.

    :param message: as :class:`stagedoor.dap.wire.Decoder` gives it. Anything but a request is refused.
    :param phase: of its session.
    """
    if message["type"] != "request":
        return Refuse(f"A client's {message['type']} is not for the debugger.", show_user=False)
    command, arguments = message["command"], message.get("arguments") or {}
    row = COMMANDS.get(command)
    if (row is None or phase not in row.phases) and phase == Phase.OVER:
        return Refuse("This session is over.", show_user=False)
    if (row is None or phase not in row.phases) and phase == Phase.NEW:
        return Refuse('The first request of a client has to be "initialize".')
    if row is None:
        return Refuse(f"{shortened(command)} is not supported by debugpy.", show_user=False)
    if phase not in row.phases:
        return Refuse(_untimely(command, phase))
    if row.sentence:
        return Refuse(row.sentence, row.show_user)
    return _without_a_frame(row, arguments) or _misfit(row, arguments) or _allowed(row, arguments)


def _untimely(command: str, phase: Phase) -> str:
    if command == "initialize" and phase == Phase.INITIALIZED:
        return "Invalid message: Session is already initialized"  # this and the next two are debugpy's own words
    if command in ("initialize", "attach"):
        return "Session is already started"
    if command == "configurationDone" and phase == Phase.CONFIGURED:
        return '"configurationDone" is only allowed during handling of a "launch" or an "attach" request'
    return f'"{command}" came before "{"attach" if phase == Phase.INITIALIZED else "configurationDone"}".'


def _without_a_frame(row: Row, arguments: Mapping[str, Any]) -> Verdict | None:
    if row.command == "evaluate" and type(arguments.get("frameId")) is not int:  # "*" means all threads
        return Refuse(NOTHING_PAUSED, show_user=False)  # the debug console prints it
    if row.command == "completions" and arguments.get("frameId") is None:
        return AnsweredHere(row, arguments, {"targets": []})
    return None


def _misfit(row: Row, arguments: Mapping[str, Any]) -> Refuse | None:
    if row.command == "attach" and (problem := attach_misfit(arguments)):
        return Refuse(problem)
    if row.command == "initialize" and arguments.get("pathFormat", "path") != "path":
        return Refuse(NO_URIS)
    shapes = (Shape(path, str) for path in row.paths)
    numbers = (Shape(each.place, int, each.needed) for each in row.ids)
    try:
        for shape in (*numbers, *row.shapes, *shapes):
            _check(shape, arguments)
    except Misfit as misfit:
        return Refuse(f'"{row.command}" was refused: {misfit}', row.show_user)
    return None


def _check(shape: Shape, arguments: Mapping[str, Any]) -> None:
    values = found(arguments, shape.place)
    container = shape.place.rpartition("[]")[0]
    wanted = found(arguments, f"{container}[]") if container else [arguments]
    # Not isinstance: true is no number here.
    if any(type(value) is not shape.type for value in values) or (shape.needed and len(values) < len(wanted)):
        raise Misfit(shape.place, _NOUNS[shape.type])


_NOUNS: Mapping[type, str] = {int: "a number", str: "a text", list: "a list", dict: "an object"}


def _allowed(row: Row, arguments: Mapping[str, Any]) -> Verdict:
    if row.goes_on:
        return GoesOn(row, row.sent_as or row.command, {**arguments, **row.forced})
    if row.command == "attach":
        return AnsweredHere(row, attach_to_worker(arguments), token=arguments.get("stagedoorToken"))
    return AnsweredHere(row, arguments, row.body)
