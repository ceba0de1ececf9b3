"""From a session's numbers and paths to a worker's, and back, by what :mod:`.commands` says where they stand."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .commands import Id, Row
from .ids import OWN, IdTable, Inner, Kind
from .judging import Refuse
from .paths import PathMappings
from .places import GONE, Misfit, edited
from .wire import Message

Meant = Callable[[Kind, object], Inner | None]


@dataclass(frozen=True, slots=True)
class Concern:
    """Whom a message concerns, and what its arguments are there.

    :param worker: the worker's key; ``None``: none, the gatekeeper answers it.
    :param request: the worker's number of the request; ``None``: none of them. It goes on with the message: the request
        may have come to its end meanwhile, and the worker makes sure that it is still served by the thread that is named.
    :param arguments: with the worker's numbers and the server's paths.
    """

    worker: str | None
    request: int | None
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outward:
    """How one worker's numbers and paths are shown in one session.

    :param given: the session's number; ``None``: it has none, and gets none.
    :param to_client: what the client calls a file.
    :param reference: the session's number for the source of a file that its client has not; 0: it has it.
    """

    given: Callable[[Kind, Hashable], int | None]
    to_client: Callable[[str], str]
    reference: Callable[[str], int]

    @classmethod
    def of(cls, ids: IdTable, paths: PathMappings, worker: str, request: int | None) -> Outward:
        """By a session's tables, for what belongs to this request of this worker."""

        def reference(path: str) -> int:
            return 0 if not path.startswith("/") or paths.knows(path) else ids.given(OWN, "source", path)

        return cls(partial(_given, ids, worker, request), paths.to_client, reference)


def _given(ids: IdTable, worker: str, request: int | None, kind: Kind, inner_id: Hashable) -> int | None:
    if kind == "breakpoint":  # many of the workers' are one of the session's
        return ids.known(worker, kind, inner_id)
    if request is None and kind not in ("source", "module"):
        return None  # of a thread that serves nobody's request, or somebody else's
    return ids.given(worker, kind, inner_id, request)


class _Refused(Exception):
    """With the sentence."""


def mapped_arguments(
    row: Row, arguments: Mapping[str, Any], meant: Meant, to_server: Callable[[str], str]
) -> Concern | Refuse:
    """Whom a message concerns that :func:`stagedoor.dap.judging.judged` has let through, and its arguments there.

    It is refused if it names what is not the session's own, or what belongs to two different requests.

    :param meant: :meth:`stagedoor.dap.ids.IdTable.meant` of the session.
    :param to_server: :meth:`stagedoor.dap.paths.PathMappings.to_server` of the session.
    """
    inners: list[Inner] = []
    mapped: Any = dict(arguments)
    try:
        for each in row.ids:
            mapped = edited(mapped, each.place, partial(_inner_id, row, each, meant, inners))
        for path in row.paths:
            mapped = edited(mapped, path, to_server)
        for each in row.ids:
            _only((inner.worker for inner in inners if inner.kind == each.kind), row)
        worker = _only((inner.worker for inner in inners if inner.worker != OWN), row)
        request = _only((inner.request for inner in inners if inner.request is not None), row)
    except (_Refused, Misfit) as refused:
        return Refuse(str(refused), row.show_user)
    return Concern(worker, request, {"request": request} if row.by_request else mapped)


def _inner_id(row: Row, wanted: Id, meant: Meant, inners: list[Inner], number: Any) -> Hashable:
    if number == 0 and not wanted.needed and wanted.kind in _NONE_IS_ZERO:
        return 0
    inner = meant(wanted.kind, number)
    # None of the session's own, but for its entries among the threads, goes on to a worker.
    if inner is None or (row.by_request and inner.worker != OWN and inner.request is None):
        raise _Refused(_UNKNOWN[wanted.kind].format(number if type(number) is int else "this"))
    if wanted.kind == "thread" and inner.worker == OWN:
        raise _Refused(row.of_window)
    if inner.id is None and not row.by_request:
        raise _Refused(f"Thread {number} is running. Pause it first, or set a breakpoint.")
    inners.append(inner)
    return inner.id


def _only(values: Iterable[Any], row: Row) -> Any:
    distinct = set(values)
    if len(distinct) > 1:
        raise _Refused(f'"{row.command}" was refused: it names two different requests.')
    return distinct.pop() if distinct else None


#: DAP's references are 0 where there is nothing.
_NONE_IS_ZERO: frozenset[Kind] = frozenset({"variables", "source"})

_UNKNOWN: Mapping[Kind, str] = {
    "thread": "Thread {} is not one of your requests, or is over by now.",
    "frame": "Frame {} is not one of your paused requests', or that runs on by now.",
    "variables": "Reference {} is not of one of your paused requests, or that runs on by now.",
    "source": "Source {} was not shown in this session.",
    "breakpoint": "Breakpoint {} is not one of this session's.",
    "goto": "Target {} is not one that this session has asked for.",
    "step_in": "Target {} is not one of your paused requests', or that runs on by now.",
    "module": "Module {} was not shown in this session.",
}


def mapped_answer(row: Row, body: Mapping[str, Any], outward: Outward) -> dict[str, Any]:
    """The body of a debugger's answer as the client gets it."""
    shown = _with_ids(dict(body), row.answer_ids, outward)
    shown = _with_sources(shown, row.answer_sources, outward)
    for place in row.answer_paths:
        shown = _leniently(shown, place, lambda path: outward.to_client(path) if isinstance(path, str) else path)
    for place in row.answer_tracebacks:
        shown = _leniently(shown, place, lambda text: _traceback(text, outward) if isinstance(text, str) else text)
    return shown


@dataclass(frozen=True, slots=True)
class _Event:
    """Where in the body of an event what stands, as in a :class:`Row`, and what is always so."""

    ids: tuple[Id, ...] = ()
    sources: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    forced: Mapping[str, object] = field(default_factory=dict)


_OWN_THREAD = Id("threadId", "thread", needed=True)

#: The events of a worker's that reach a client. That a session or a process begins or ends is said by the session
#: itself: a worker that ends is not the end of it. Not ``debugpyAttach`` (a worker could start sessions on the developer's
#: machine), ``debugpySockets`` (names inner ports) and ``pydevdInputRequested`` (a server has no keyboard); of its requests
#: (``runInTerminal``, ``startDebugging``) a client gets none.
EVENTS_OF_WORKERS: Mapping[str, _Event] = {
    # What is paused or runs on is one request, whatever pydevd says.
    "stopped": _Event((_OWN_THREAD, Id("hitBreakpointIds[]", "breakpoint")), forced={"allThreadsStopped": False}),
    "continued": _Event((_OWN_THREAD,), forced={"allThreadsContinued": False}),
    "thread": _Event((_OWN_THREAD,)),
    "breakpoint": _Event((Id("breakpoint.id", "breakpoint", needed=True),), ("breakpoint.source",)),
    "module": _Event((Id("module.id", "module"),), paths=("module.path",)),
    "output": _Event((Id("variablesReference", "variables"),), ("source",)),
}


def mapped_event(event: Message, outward: Outward) -> Message | None:
    """A debugger's event as the client gets it; ``None`` if it gets none, because it is none for clients or names what
    the session doesn't have.
    """
    row = EVENTS_OF_WORKERS.get(event["event"])
    body = event.get("body")
    if row is None or not isinstance(body, dict):
        return None
    shown = _with_ids({key: value for key, value in body.items() if key != "stagedoor"}, row.ids, outward)
    if any(each.needed and not _is_there(shown, each.place) for each in row.ids):
        return None
    shown = _with_sources(shown, row.sources, outward)
    for place in row.paths:
        shown = _leniently(shown, place, lambda path: outward.to_client(path) if isinstance(path, str) else path)
    return {"type": "event", "event": event["event"], "body": {**shown, **row.forced}}


def _is_there(body: Mapping[str, Any], place: str) -> bool:
    value: Any = body
    for step in place.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value is not None


def _with_ids(body: dict[str, Any], ids: tuple[Id, ...], outward: Outward) -> dict[str, Any]:
    def number(kind: Kind, inner_id: Any) -> Any:
        if type(inner_id) is not int:
            return GONE
        if inner_id == 0 and kind in _NONE_IS_ZERO:
            return 0
        outer = outward.given(kind, inner_id)
        return GONE if outer is None else outer

    for each in ids:
        body = _leniently(body, each.place, partial(number, each.kind))
    return body


def _with_sources(body: dict[str, Any], sources: tuple[str, ...], outward: Outward) -> dict[str, Any]:
    def shown(source: Any) -> Any:
        if not isinstance(source, dict):
            return GONE
        path, reference = source.get("path"), source.get("sourceReference")
        if type(reference) is int and reference:
            source = source | {"sourceReference": outward.given("source", reference)}
        elif isinstance(path, str) and (own := outward.reference(path)):
            source = source | {"sourceReference": own}
        return source | {"path": outward.to_client(path)} if isinstance(path, str) else source

    for place in sources:
        body = _leniently(body, place, shown)
    return body


def _leniently(body: dict[str, Any], place: str, change: Callable[[Any], Any]) -> dict[str, Any]:
    """What a debugger sends in another shape holds nothing there: a number of a worker's means nothing to a session."""
    try:
        changed: dict[str, Any] = edited(body, place, change)
    except Misfit:
        return body
    return changed


_FILE = re.compile(r'(?m)^(\s*File ")([^"\n]+)(", line \d+)')


def _traceback(text: str, outward: Outward) -> str:
    return _FILE.sub(lambda match: match[1] + outward.to_client(match[2]) + match[3], text)
