"""Which way imports point: only upward in the list below. And what ``import stagedoor`` loads: nearly nothing."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.modules import MODULES, PACKAGE

#: A package, or a module beside the packages, imports only from those before it.
ORDER = [
    "platforms",
    "errors",
    "console",
    "forking",
    # What is wrapped.
    "application",
    # Who is let in.
    "access",
    # The window, where it is kept, and what is recorded.
    "window",
    "switches",
    "audit",
    # The protocol.
    "dap",
    # The socket between workers, commands and the gatekeeper, and what else lies beside the switch.
    "control",
    "settings",
    # The debugger in this process, and what surrounds it.
    "tracing",
    "worker",
    # The process that owns the port.
    "gatekeeper",
    # The shell around an application.
    "body",
    "serving",
    "request",
    "middleware",
    "jobs",
    "",  # the package itself: what users import
    # On top.
    "launch_json",
    "demo",
    "cli",
    "integrations",
    "__main__",
]

#: Who may import what of the outside world, besides the standard library; anybody else may not.
OUTSIDE = {
    "netaddr": {"access.allowlist"},
    "debugpy": {"tracing", "worker.listen"},
    "werkzeug": {"request", "demo"},
    "_xxsubinterpreters": {"worker.servers.process"},  # below 3.12 only
    "flask": {"integrations.flask"},
    "click": {"integrations.flask"},
    "django": {"integrations.django"},
}
PYDEVD = ("pydevd", "_pydevd", "_pydev_")

#: What stands on top, and who imports it all the same: the frameworks' own commands are the command line itself.
TOP = {"cli": {"__main__", "integrations.configuration"}, "integrations": set[str]()}


def imports(name: str, *, also_for_types: bool = False) -> Iterator[str]:
    """The full names of all modules that one imports, also within functions and through importlib.

    :param also_for_types: those that only a type checker sees are imports too.
    """
    tree = ast.parse(MODULES[name].read_text())
    package = ["stagedoor", *name.split(".")] if name else ["stagedoor"]
    if MODULES[name].name != "__init__.py":
        package.pop()
    for node in ast.walk(tree) if also_for_types else runtime_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner.removeprefix("stagedoor.") in MODULES else source
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "load_pydevd")):
            yield from (
                each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )


def runtime_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")):
            yield node
            yield from runtime_nodes(node)


def place(name: str) -> int:
    return ORDER.index(name.split(".")[0])


def test_every_module_has_its_place() -> None:
    assert {name.split(".")[0] for name in MODULES} == set(ORDER), "a new module? Say in ORDER where it stands"


def own_imports(name: str) -> list[str]:
    """The modules of the package that one imports, for types too."""
    found = [each.removeprefix("stagedoor").removeprefix(".") for each in imports(name, also_for_types=True)]
    return [each for each in found if each in MODULES and each != name]


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "stagedoor")
def test_imports_point_upward_only(name: str) -> None:
    within = name.split(".")[0]
    assert [each for each in own_imports(name) if place(each) >= place(name) and each.split(".")[0] != within] == []


def test_no_module_leads_back_to_itself() -> None:
    """Within the packages too, and also through what only a type checker sees."""
    leads_to = {name: set(own_imports(name)) for name in MODULES}
    while free := [name for name, others in leads_to.items() if not others & set(leads_to)]:
        for name in free:
            del leads_to[name]
    assert sorted(leads_to) == [], "these are, or lead to, a circle"


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "stagedoor"


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "stagedoor")
def test_the_outside_world_has_one_importer_each(name: str) -> None:
    for module in imports(name):
        package = module.split(".")[0]
        if package.startswith(PYDEVD):
            assert name == "tracing.internals", f"{name} imports {module}"
        elif not is_ours(module) and package not in sys.stdlib_module_names:
            allowed = OUTSIDE.get(package, set())
            assert any(name == each or name.startswith(f"{each}.") for each in allowed), f"{name} imports {module}"


@pytest.mark.parametrize("top", TOP)
def test_nothing_imports_what_stands_on_top(top: str) -> None:
    importers = {
        name
        for name in MODULES
        for each in imports(name)
        if each.split(".")[:2] == ["stagedoor", top] and name.split(".")[0] != top
    }
    assert importers <= TOP[top]


def test_the_test_itself_sees_imports_within_functions_and_through_importlib() -> None:
    assert "werkzeug.sansio.http" in imports("request")
    assert "pydevd" in imports("tracing.internals")
    assert not [each for each in imports("middleware") if each.startswith("_typeshed")]


CLOSED = """
import json, os, sys, threading
before = set(sys.modules)
from stagedoor import StageDoor
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
door = StageDoor(app, allow="127.0.0.2", switch="memory")
descriptors = len(os.listdir("/proc/self/fd"))
for number in range(3):
    door({"REMOTE_ADDR": "127.0.0.2", "PATH_INFO": "/"}, lambda *arguments: None)
print(json.dumps({
    "modules": sorted(set(sys.modules) - before),
    "threads": [thread.name for thread in threading.enumerate()],
    "descriptors": len(os.listdir("/proc/self/fd")) - descriptors,
    "children": open(f"/proc/self/task/{os.getpid()}/children").read().split(),
}))
"""


def test_promise_4_closed_loads_no_debugger_no_framework_and_starts_nothing() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CLOSED],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent)},
    )
    closed = json.loads(answer.stdout)
    packages = {module.split(".")[0] for module in closed["modules"]}
    assert not {package for package in packages if package.startswith(PYDEVD)}
    assert not packages & {"debugpy", "redis", "django", "flask", "werkzeug", "asyncio", "http"}
    assert closed["threads"] == ["MainThread"]
    assert closed["descriptors"] == 0
    assert closed["children"] == []


COMMAND = """
import json, os, sys
from stagedoor.cli import main
output, sys.stdout, sys.stderr = sys.stdout, open(os.devnull, "w"), open(os.devnull, "w")
main(sys.argv[1:])
print(json.dumps(sorted(sys.modules)), file=output)
"""
#: What no command needs but those that are about it.
ROOMS = {"windows", "status", "passes", "check", "launch_json", "running", "report", "port_check"}


@pytest.mark.parametrize(
    ("command", "rooms", "others"),
    [
        ("--help", set(), set()),
        ("status --help", set(), set()),
        ("nonsense", set(), set()),
        ("--version", set(), {"importlib.metadata"}),
        ("check 10.0.0.1", {"check"}, set()),
        ("launch-json", {"launch_json"}, {"stagedoor.launch_json"}),
        ("status", {"status", "report"}, set()),
        ("pass anna", {"passes", "report"}, set()),
        ("close", {"windows", "report", "port_check"}, {"stagedoor.launch_json", "stagedoor.gatekeeper"}),
        ("until 30m", {"windows", "report", "port_check"}, {"stagedoor.launch_json", "stagedoor.gatekeeper"}),
    ],
)
def test_a_command_loads_what_it_needs(command: str, rooms: set[str], others: set[str], tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", COMMAND, *command.split()],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(PACKAGE.parent), "STAGEDOOR_SWITCH": str(tmp_path / "window.json")},
    )
    loaded = set(json.loads(answer.stdout))
    assert {room for room in ROOMS if f"stagedoor.cli.{room}" in loaded} == rooms
    dear = {
        "importlib.metadata",
        "stagedoor.launch_json",
        "stagedoor.gatekeeper",
        "stagedoor.demo",
        "asyncio",
        "debugpy",
    }
    assert loaded & dear == others
