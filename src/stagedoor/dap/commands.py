"""The table of commands: what a client may say in which phase of its session, who answers, and which numbers and paths of
the session stand where.

It is a whitelist, as :data:`stagedoor.dap.translation.EVENTS_OF_WORKERS` is one for what a debugger says: a debugpy with
new messages opens nothing by itself.
What each message does was read in debugpy 1.8.22: ``adapter/clients.py`` and pydevd's
``pydevd_process_net_command_json.py``.

The rules protect the worker and the requests of everybody else. They don't restrict what developers do inside their own
paused requests: whoever may evaluate an expression may do everything that the application may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from .ids import Kind


class Phase(IntEnum):
    """How far a session has come."""

    NEW = 0
    INITIALIZED = 1
    ATTACHED = 2  # let in, and not configured yet
    CONFIGURED = 3
    OVER = 4


_FROM_ATTACHED = frozenset({Phase.ATTACHED, Phase.CONFIGURED})
_CONFIGURED = frozenset({Phase.CONFIGURED})


@dataclass(frozen=True, slots=True)
class Id:
    """A number of the session's in a message.

    :param place: where it stands, as :mod:`.places` writes it.
    :param kind: what it is a number of.
    :param needed: a message without it is refused.
    """

    place: str
    kind: Kind
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """What the gatekeeper itself reads has to be of a type, and what pydevd reads on the paused request's thread: it fails
    there without an answer. What it reads before that it answers with an error.
    """

    place: str
    type: type
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One command.

    :param phases: in which it may come.
    :param goes_on: to the worker that its ids belong to; otherwise the gatekeeper answers itself.
    :param sentence: why it is always refused.
    :param show_user: whether the IDE shows a refusal in a notification of its own. Not where it shows it anyway, and not
        for what it asks by itself, which can come too late at any time.
    :param sent_as: the command that goes on, if that is another one. The answer has to reach the client with its own.
    :param by_request: what goes on is ``{"request": n}`` and nothing else.
    :param forced: arguments that are always so.
    :param body: what the answer always is, where the gatekeeper answers itself and need not look at anything.
    :param ids: of the arguments.
    :param paths: of the arguments.
    :param shapes: of the arguments.
    :param answer_ids: of the answer's body.
    :param answer_sources: where DAP's ``Source`` objects stand in the answer's body.
    :param answer_paths: where paths stand there otherwise.
    :param answer_tracebacks: where texts stand there with ``File "..."`` in them.
    :param of_window: what is said if the thread is the window's entry.
    """

    command: str
    phases: frozenset[Phase] = _CONFIGURED
    goes_on: bool = False
    sentence: str = ""
    show_user: bool = False
    sent_as: str | None = None
    by_request: bool = False
    forced: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    ids: tuple[Id, ...] = ()
    paths: tuple[str, ...] = ()
    shapes: tuple[Shape, ...] = ()
    answer_ids: tuple[Id, ...] = ()
    answer_sources: tuple[str, ...] = ()
    answer_paths: tuple[str, ...] = ()
    answer_tracebacks: tuple[str, ...] = ()
    of_window: str = "This entry stands for the window, and is none of your requests."


#: The requests with which a client leaves. The gatekeeper answers them itself, and lets go of the debugger in its own
#: way: as a client means them, pydevd could end the worker.
FAREWELLS = frozenset({"disconnect", "terminate"})

#: What a debugger is told with ``disconnect`` when a client has left.
FORCED_DISCONNECT: dict[str, object] = {"terminateDebuggee": False}

_THREAD = Id("threadId", "thread", needed=True)
_FRAME = Id("frameId", "frame", needed=True)
_CONTAINER = Id("variablesReference", "variables", needed=True)
_RESULT = Id("variablesReference", "variables")
#: A file that the client has by a reference only can have breakpoints too.
_SOURCE = Id("source.sourceReference", "source")
_IN_A_SOURCE: tuple[Shape, ...] = (
    Shape("source", dict, needed=True),
    Shape("source.path", str),
)
_CONDITIONS = tuple(Shape(f"breakpoints[].{name}", str) for name in ("condition", "hitCondition", "logMessage"))


def _resumes(command: str, *ids: Id) -> Row:
    """A row of what makes a paused request run.

    Without ``singleThread`` pydevd continues every paused request. Its steps ignore the key and go by
    ``steppingResumesAllThreads``; DAP means it for them as well, so a later release may read it there.
    """
    return Row(command=command, goes_on=True, show_user=True, ids=(_THREAD, *ids), forced={"singleThread": True})


def _asks(command: str, *ids: Id, texts: str = "", numbers: str = "", **answer: Any) -> Row:
    """A row of what looks at a paused request.

    :param texts: names of its arguments that are texts; one that ends in ``!`` has to be there.
    :param numbers: of those that are numbers.
    """
    shapes = [
        Shape(name.rstrip("!"), kind, name.endswith("!"))
        for kind, names in ((str, texts), (int, numbers))
        for name in names.split()
    ]
    return Row(command=command, goes_on=True, ids=ids, shapes=(*shapes, Shape("format", dict)), **answer)


def _here(command: str, *shapes: Shape, **more: Any) -> Row:
    return Row(**{"command": command, "phases": _FROM_ATTACHED, "shapes": shapes, **more})


def _refused(command: str, sentence: str, show_user: bool = True) -> Row:
    phases = frozenset(Phase) - {Phase.NEW, Phase.OVER}
    return Row(command=command, phases=phases, sentence=sentence, show_user=show_user)


_ROWS = (
    # The session itself.
    _here("initialize", phases=frozenset({Phase.NEW}), show_user=True),
    _here("attach", phases=frozenset({Phase.INITIALIZED}), show_user=True),
    _here("configurationDone", phases=frozenset({Phase.ATTACHED}), show_user=True),
    *(_here(command, phases=frozenset(Phase)) for command in sorted(FAREWELLS)),
    _refused("launch", '"launch" was refused: the application runs already. Use "request": "attach".'),
    # What all workers have to know. What a worker makes of it comes as events.
    _here(
        "setBreakpoints",
        *_IN_A_SOURCE,
        Shape("breakpoints", list),
        Shape("breakpoints[]", dict),
        Shape("breakpoints[].line", int, needed=True),
        Shape("breakpoints[].column", int),
        *_CONDITIONS,
        ids=(_SOURCE,),
        paths=("source.path",),
    ),
    _here(
        "setFunctionBreakpoints",
        Shape("breakpoints", list),
        Shape("breakpoints[]", dict),
        Shape("breakpoints[].name", str, needed=True),
        *_CONDITIONS,
    ),
    _here(
        "setExceptionBreakpoints",
        Shape("filters[]", str),
        Shape("filterOptions[].filterId", str, needed=True),
        Shape("filterOptions[].condition", str),
        Shape("exceptionOptions[].breakMode", str, needed=True),
        Shape("exceptionOptions[].path[].names[]", str),
    ),
    # What is known here.
    _here("threads"),
    _here("modules", Shape("startModule", int), Shape("moduleCount", int)),
    # A reference of the gatekeeper's is answered by it; one of a worker's (code without a file) concerns that worker.
    _here("source", Shape("source", dict), ids=(Id("sourceReference", "source"), _SOURCE), paths=("source.path",)),
    # pydevd only gives the place a number, the same for every thread; "goto" says where it is asked for.
    _here("gotoTargets", *_IN_A_SOURCE, Shape("line", int, needed=True), ids=(_SOURCE,), paths=("source.path",)),
    # Visual Studio sends it. What pydevd reads of it would undo what attach forces, or what is never traced.
    _here("setDebuggerProperty", body={}),
    _here("pydevdSystemInfo"),  # versions and process ids
    _here("debugpySystemInfo"),
    _refused("pydevdAuthorize", '"pydevdAuthorize" is for debugpy\'s own adapter.', show_user=False),
    _refused("setPydevdSourceMap", '"setPydevdSourceMap" is for notebooks.', show_user=False),
    # One request of the developer's own: what there is to see.
    _asks(
        "stackTrace",
        _THREAD,
        numbers="startFrame levels",
        answer_ids=(Id("stackFrames[].id", "frame"), Id("stackFrames[].moduleId", "module")),
        answer_sources=("stackFrames[].source",),
    ),
    _asks(
        "scopes",
        _FRAME,
        answer_ids=(Id("scopes[].variablesReference", "variables"),),
        answer_sources=("scopes[].source",),
    ),
    _asks(
        "variables",
        _CONTAINER,
        texts="filter",
        numbers="start count",
        answer_ids=(Id("variables[].variablesReference", "variables"),),
    ),
    _asks("setVariable", _CONTAINER, texts="name! value!", answer_ids=(_RESULT,)),
    _asks("evaluate", _FRAME, texts="expression! context", answer_ids=(_RESULT,)),
    _asks("setExpression", _FRAME, texts="expression! value!", answer_ids=(_RESULT,)),
    _asks("completions", _FRAME, texts="text!", numbers="column! line"),
    _asks("exceptionInfo", _THREAD, answer_paths=("details.source",), answer_tracebacks=("details.stackTrace",)),
    _asks("stepInTargets", _FRAME, answer_ids=(Id("targets[].id", "step_in"),)),
    # And how it goes on.
    _resumes("continue"),
    _resumes("next"),
    _resumes("stepIn", Id("targetId", "step_in")),
    _resumes("stepOut"),
    _resumes("goto", Id("targetId", "goto", needed=True)),
    # pydevd would mark a thread, which may serve somebody else's request by then: the worker does it, for this request.
    Row(
        command="pause",
        goes_on=True,
        show_user=True,
        ids=(_THREAD,),
        sent_as="stagedoorPause",
        by_request=True,
        of_window="The window's entry can't be paused: pause one of your requests, or set a breakpoint.",
    ),
)

#: What becomes of each command; of any other one nothing.
COMMANDS: Mapping[str, Row] = {row.command: row for row in _ROWS}
