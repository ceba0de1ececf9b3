"""What the table of commands rests on in debugpy's sources: a release that knows more than this needs new decisions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from stagedoor.dap.arguments import ATTACH_KEYS, DEBUG_OPTIONS, FORCED_ATTACH, OF_THE_PATHS, attach_to_worker
from stagedoor.dap.commands import COMMANDS
from stagedoor.dap.paths import PathMappings, System
from stagedoor.dap.translation import EVENTS_OF_WORKERS


def debugpy() -> Path:
    spec = find_spec("debugpy")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


VENDORED = debugpy() / "_vendored/pydevd"
PYDEVD = (VENDORED / "_pydevd_bundle/pydevd_process_net_command_json.py").read_text(encoding="utf-8")
OPTIONS = (VENDORED / "_pydevd_bundle/pydevd_json_debug_options.py").read_text(encoding="utf-8")
ADAPTER = (debugpy() / "adapter/clients.py").read_text(encoding="utf-8")

SCHEMA = """
import json
from _pydevd_bundle._debug_adapter import pydevd_schema
print(json.dumps({
    name: each.__props__ for name, each in vars(pydevd_schema).items() if isinstance(getattr(each, "__props__", 0), dict)
}))
"""


@cache
def schema() -> dict[str, dict[str, Any]]:
    """The properties of each of pydevd's DAP classes, as it reads and writes them."""
    answer = subprocess.run(
        [sys.executable, "-c", SCHEMA],
        env={"PYTHONPATH": str(VENDORED), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    read: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    return read


def leaves(name: str, place: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Each place in a class of the schema, with the name of the property that stands there."""
    for key, prop in schema()[name].items():
        here = f"{place}.{key}".removeprefix(".")
        each, inside = (prop["items"], f"{here}[]") if "items" in prop else (prop, here)
        inner = each.get("$ref", str(each.get("type"))).removeprefix("#/definitions/")
        if inner not in schema():
            yield inside, key
        elif inner not in above:
            yield from leaves(inner, inside, (*above, inner))


def of_class(wanted: str) -> str | None:
    return next((name for name in schema() if name.lower() == wanted.lower()), None)


#: What names something in one debugger.
NAMES = re.compile(r"(?i)(thread|frame|target|module)Ids?$|variablesReference$|sourceReference$|breakpointIds$")


def numbers(name: str) -> set[str]:
    return {place for place, key in leaves(name) if NAMES.search(key) or key == "id"}


HANDLED = sorted(row.command for row in COMMANDS.values() if not row.sentence)


def test_every_request_that_debugpy_handles_has_a_row() -> None:
    handled = set(re.findall(r"def on_(\w+)_request\(", PYDEVD))
    handled |= {name.lower() for name in re.findall(r"def (\w+)_request\(", ADAPTER)}
    assert handled == {command.lower() for command in COMMANDS}


def test_every_event_of_the_schema_is_decided() -> None:
    events = {name.removesuffix("EventBody").lower() for name in schema() if name.endswith("EventBody")}
    # What pydevd's schema has and pydevd does not send.
    unsent = {"capabilities", "invalidated", "loadedsource", "memory"}
    unsent |= {"progressend", "progressstart", "progressupdate"}
    of_the_session = {"terminated", "exited", "process"}
    assert events == {name.lower() for name in EVENTS_OF_WORKERS} | unsent | of_the_session


@pytest.mark.parametrize("command", HANDLED)
def test_every_number_of_the_arguments_is_in_the_table(command: str) -> None:
    name = of_class(f"{command}Arguments")
    assert {each.place for each in COMMANDS[command].ids} == (numbers(name) if name else set())


@pytest.mark.parametrize("command", [command for command in HANDLED if COMMANDS[command].goes_on])
def test_every_number_and_source_of_the_answer_is_in_the_table(command: str) -> None:
    name = of_class(f"{command}ResponseBody")
    row = COMMANDS[command]
    if name is None:
        assert (row.answer_ids, row.answer_sources) == ((), ())
        return
    in_sources = {f"{source}.sourceReference" for source in row.answer_sources}
    assert numbers(name) == {each.place for each in row.answer_ids} | in_sources


@pytest.mark.parametrize("event", EVENTS_OF_WORKERS)
def test_every_number_and_source_of_an_event_is_in_the_table(event: str) -> None:
    row = EVENTS_OF_WORKERS[event]
    name = of_class(f"{event}EventBody")
    assert name is not None
    in_sources = {f"{source}.sourceReference" for source in row.sources}
    assert numbers(name) == {each.place for each in row.ids} | in_sources


def test_every_attach_argument_that_debugpy_reads_is_decided() -> None:
    attach = ADAPTER.split("def attach_request(")[1].split("def configurationDone_request(")[0]
    read = set(re.findall(r'\bargs\.get\(\s*"(\w+)"', PYDEVD + OPTIONS))
    read |= set(re.findall(r'"(\w+)" in args\b', OPTIONS)) | set(re.findall(r'request\(\s*"(\w+)"', attach))
    dropped = {
        "connect", "host", "port", "listen", "processId", "subProcessId", "restart", "debugpyArgs",
        "linuxAttachPreferLldb", "guiEventLoop", "isOutputRedirected", "onTerminate", "options", "program",
        "stopOnEntry",
    }  # fmt: skip
    assert read == ATTACH_KEYS | set(FORCED_ATTACH) | dropped


def test_every_debug_option_is_decided() -> None:
    flags = set(re.findall(r'^    "(\w+)": "', OPTIONS, re.MULTILINE))
    without_effect = {"FixFilePathCase", "Multiprocess", "StopOnEntry", "WaitOnAbnormalExit", "WaitOnNormalExit"}
    assert flags == DEBUG_OPTIONS | without_effect | {"RedirectOutput"}


def test_of_an_attach_the_workers_debuggers_get_what_is_neither_forced_nor_ours() -> None:
    told = attach_to_worker(dict.fromkeys(ATTACH_KEYS, ()))
    assert told.keys() == (ATTACH_KEYS - OF_THE_PATHS) | FORCED_ATTACH.keys() | {"clientOS"}
    assert told["clientOS"] == "unix"


def test_wherever_a_client_names_a_source_its_path_is_mapped() -> None:
    for row in COMMANDS.values():
        names = {each.place for each in row.ids if each.place.endswith("source.sourceReference")}
        assert {place.replace("sourceReference", "path") for place in names} == set(row.paths)


# What a client sees is what debugpy itself shows it, where that compares whole components and the longest prefix.

MAPPING = """
import json, os, sys
import pydevd_file_utils
for system, pairs, client, server in json.load(sys.stdin):
    pydevd_file_utils.set_ide_os(system.upper())
    pydevd_file_utils.setup_client_server_paths(pairs)
    there = pydevd_file_utils.map_file_to_server(client)
    back, mapped = pydevd_file_utils.map_file_to_client(server)
    print(json.dumps([there, back, mapped]))
"""

PLACES: list[tuple[System, list[tuple[str, str]], str, str]] = [
    ("unix", [("/home/anna/shop", "/srv/shop")], "/home/anna/shop/a.py", "/srv/shop/a.py"),
    ("unix", [("/home/anna/shop/", "/srv/shop/")], "/home/anna/shop/b/a.py", "/srv/shop/b/a.py"),
    ("unix", [("/a", "/x"), ("/b", "/y")], "/b/a.py", "/y/a.py"),
    ("unix", [("/Shop", "/x")], "/shop/a.py", "/X/a.py"),
    ("unix", [("/a", "/x")], "<string>", "<string>"),
    ("windows", [("C:\\shop", "/srv/shop")], "C:\\shop\\b\\A.py", "/srv/shop/b/A.py"),
    ("windows", [("C:/shop/", "/srv/shop/")], "c:\\SHOP\\A.py", "/srv/shop/A.py"),
    ("windows", [("C:\\shop", "/srv/shop")], "C:/shop/A.py", "/srv/shop/A.py"),
    ("windows", [("C:\\shop", "/srv/shop")], "\\usr\\lib\\A.py", "/usr/lib/A.py"),
]


def test_paths_are_mapped_as_debugpy_maps_them() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", MAPPING],
        env={"PYTHONPATH": str(VENDORED), "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        input=json.dumps(PLACES),
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = [json.loads(line) for line in answer.stdout.splitlines()]
    ours = []
    for system, pairs, client, server in PLACES:
        paths = PathMappings([{"localRoot": a, "remoteRoot": b} for a, b in pairs], system, "/srv/shop")
        ours.append([paths.to_server(client), paths.to_client(server), paths.knows(server)])
    assert ours == theirs
