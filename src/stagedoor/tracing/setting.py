"""Breakpoints and exception filters that change while requests run: nothing is missed meanwhile.

pydevd takes all of a file away and adds them again one by one, and a request can pass between. Here new ones are added
first, and what is not wanted any more is taken away when that is done. What was set before in the same words keeps its
number, so that a stop names the same breakpoint whenever it comes.
"""

from __future__ import annotations

from typing import Any

from stagedoor.dap.rules import decode

from .breakpoints import Breakpoints
from .debugger import EXCEPTION_FILTERS
from .events import encode_again

#: What a client has asked for in a line: where, and with which condition.
_Words = tuple[Any, Any, Any]


class Setting:
    """What a client sets, as pydevd's processor of requests is made to do it. All of it on the thread that reads.

    :param processor: pydevd's; what it is asked for goes through here from now on.
    :param breakpoints: what is known of whose they are.
    """

    def __init__(self, processor: Any, breakpoints: Breakpoints) -> None:
        self._processor = processor
        self._breakpoints = breakpoints
        self._new_id = processor._next_breakpoint_id
        self._remove_all = processor.api.remove_all_breakpoints
        self._remove_all_exceptions = processor.api.remove_all_exception_breakpoints
        self._set = processor.on_setbreakpoints_request
        self._set_functions = processor.on_setfunctionbreakpoints_request
        self._set_exceptions = processor.on_setexceptionbreakpoints_request
        #: By file as the client names it: what was set, in its own words, and pydevd's answers.
        self._taken: dict[str, dict[_Words, list[dict[str, Any]]]] = {}
        self._function_numbers: dict[str, int] = {}
        processor.on_setbreakpoints_request = self._set_breakpoints
        processor.on_setfunctionbreakpoints_request = self._set_function_breakpoints
        processor.on_setexceptionbreakpoints_request = self._set_exception_breakpoints

    def _set_breakpoints(self, debugger: Any, request: Any) -> Any:
        entries = [dict(each) for each in request.arguments.breakpoints or []]
        file = request.arguments.source.path
        has_rules = all(decode(each.get("condition")) is not None for each in entries)
        if not has_rules or not isinstance(file, str) or not self._processor._launch_or_attach_request_done:
            self._taken.pop(str(file), None)
            return self._set(debugger, request)
        before = {words: list(answers) for words, answers in self._taken.get(file, {}).items()}
        kept = [answers.pop(0) if (answers := before.get(_words(each))) else None for each in entries]
        # To be found in a template it may have to be looked for again.
        stays = [answer if answer and answer["verified"] and file.endswith(".py") else None for answer in kept]
        numbers = iter(
            [answer["id"] if answer else self._new_id() for answer, stay in zip(kept, stays, strict=True) if not stay]
        )
        processor, api = self._processor, self._processor.api
        processor._next_breakpoint_id = lambda: next(numbers)
        if file in self._taken:
            api.remove_all_breakpoints = lambda debugger, filename: None
        request.arguments.breakpoints = [each for each, stay in zip(entries, stays, strict=True) if not stay]
        try:
            command = self._set(debugger, request)
        finally:
            processor._next_breakpoint_id = self._new_id
            api.remove_all_breakpoints = self._remove_all
        added = iter(command.as_dict["body"]["breakpoints"])
        answers = command.as_dict["body"]["breakpoints"] = [stay or next(added) for stay in stays]
        encode_again(command)
        self._taken[file] = {}
        for each, answer in zip(entries, answers, strict=True):
            self._taken[file].setdefault(_words(each), []).append(answer)
        for left in before.values():
            for answer in left:
                self._remove(debugger, answer["id"])
        for known in self._breakpoints.files:
            self._breakpoints.forget_counts(f"file {known}", self._breakpoints.keys_in(known))
        return command

    def _remove(self, debugger: Any, id_: int) -> None:
        """Take one breakpoint away, of whichever kind it is."""
        for key in list(debugger.api_received_breakpoints):
            if key[1] == id_:
                del debugger.api_received_breakpoints[key]
        templates = [getattr(debugger, name, {}) for name in ("jinja2_breakpoints", "django_breakpoints")]
        for by_file, all_lines in (
            (debugger.file_to_id_to_line_breakpoint, [debugger.breakpoints]),
            (debugger.file_to_id_to_plugin_breakpoint, templates),
        ):
            for file, breakpoints in list(by_file.items()):
                if breakpoints.pop(id_, None) is not None:
                    for lines in all_lines:
                        if file in lines:
                            debugger.consolidate_breakpoints(file, breakpoints, lines)
                    debugger.on_breakpoints_changed(removed=True)
        if debugger.plugin is not None:
            debugger.has_plugin_line_breaks = debugger.plugin.has_line_breaks(debugger)

    def _set_function_breakpoints(self, debugger: Any, request: Any) -> Any:
        entries = [dict(each) for each in request.arguments.breakpoints or []]
        if not all(decode(each.get("condition")) is not None for each in entries):
            return self._set_functions(debugger, request)
        before, now = self._function_numbers, {}
        numbers = []
        for each in entries:
            name = str(each.get("name"))
            numbers.append(before[name] if name in before and name not in now else self._new_id())
            now[name] = numbers[-1]
        given = iter(numbers)
        self._processor._next_breakpoint_id = lambda: next(given)
        try:
            answer = self._set_functions(debugger, request)
        finally:
            self._processor._next_breakpoint_id = self._new_id
        self._function_numbers = now
        for name in before:
            keys = {
                (rule.session, rule.key)
                for each in entries
                if str(each.get("name")) == name
                for rule in decode(each.get("condition")) or ()
            }
            self._breakpoints.forget_counts(f"function {name}", keys)
        return answer

    def _set_exception_breakpoints(self, debugger: Any, request: Any) -> Any:
        filters = request.arguments.filters
        if request.arguments.exceptionOptions or not isinstance(filters, list):
            return self._set_exceptions(debugger, request)
        api = self._processor.api
        api.remove_all_exception_breakpoints = lambda debugger: None
        try:
            answer = self._set_exceptions(debugger, request)
        finally:
            api.remove_all_exception_breakpoints = self._remove_all_exceptions
        changed = False
        for name, filter_ in EXCEPTION_FILTERS.items():
            if filter_ not in filters and getattr(debugger, name):
                setattr(debugger, name, {})
                changed = True
        if "raised" not in filters and debugger.plugin is not None:
            debugger.plugin.remove_all_exception_breakpoints(debugger)
        if changed:
            debugger.on_breakpoints_changed()
        return answer


def _words(entry: dict[str, Any]) -> _Words:
    return entry.get("line"), entry.get("column"), entry.get("condition")
