"""What stands in the way of debugpy's import is named, and nothing else is blamed. Real imports, each in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from conftest import ServeGated
from support.modules import ROOT
from support.releases import INSTALLED
from support.servers import ALLOWED
from support.waiting import wait_for

SRC = ROOT / "src"

#: Twice: what the first try has left behind must not change what the second one says.
TRY = """
from stagedoor.errors import DebuggerError
from stagedoor.tracing import Tracing
said = []
for _ in range(2):
    try:
        Tracing.load()
    except DebuggerError as error:
        said.append(str(error))
assert len(said) == 2 and said[0] == said[1], said
print(said[0])
"""


def said_with(path: str | Path, script: str = TRY, executable: str = sys.executable, **environ: str) -> str:
    """What is said where ``path`` is in front of all others."""
    answer = subprocess.run(
        [executable, "-P", "-c", script],
        env={**os.environ, "PYTHONPATH": str(path), **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


SHADOWS = {
    "a module that lacks what is used of it": ("code.py", "SALES = 1"),
    "a module that lacks what Python's own uses of it": ("pydoc.py", "text = ''"),
    "a package": ("xmlrpc/__init__.py", ""),
    "a module that fails by itself": ("code.py", "raise ValueError('no such shop')"),
    "a module that is no Python": ("code.py", "this is no Python"),
    "a package that is no Python": ("xmlrpc/__init__.py", "nor is this"),
    "a module that ends the process": ("code.py", "raise SystemExit(3)"),
    "a module whose names are others": ("xmlrpc/client.py", "raise OSError('not that one')"),
    "a class that is none": ("code.py", "InteractiveConsole = InteractiveInterpreter = compile_command = None"),
}


@pytest.mark.parametrize("what", SHADOWS)
def test_a_file_of_the_applications_in_the_place_of_pythons_own_is_named(what: str, tmp_path: Path) -> None:
    name, source = SHADOWS[what]
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    if file.parent != tmp_path:
        (file.parent / "__init__.py").touch()
    said = said_with(tmp_path)
    module = name.partition("/")[0].removesuffix(".py")
    named = file if file.parent == tmp_path else file.parent / "__init__.py"
    assert said.startswith(f"debugpy {INSTALLED} can't be loaded (")
    assert f"It imports Python's own module {module}, in whose place " in said
    assert str(named) in said or str(file) in said
    assert said.endswith("Rename it, or take its folder out of sys.path.")
    assert "Install" not in said
    assert "\n" not in said


def test_a_package_in_an_archive_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "application.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("code/__init__.py", "SALES = 1")
    assert f"Python's own module code, in whose place {archive}/code/__init__.py stands" in said_with(archive)


def test_a_file_of_the_same_name_that_is_no_hindrance_is_none(tmp_path: Path) -> None:
    (tmp_path / "turtle.py").write_text("")
    (tmp_path / "code.py").write_text("from _code import *")
    (tmp_path / "_code.py").write_text(Path(find_spec("code").origin).read_text())  # type: ignore[union-attr, arg-type]
    assert said_with(tmp_path, "from stagedoor.tracing import Tracing; Tracing.load(); print('loaded')") == "loaded"


@pytest.mark.parametrize(("name", "source"), [("debugpy.py", ""), ("debugpy.py", "1 / 0"), ("debugpy/__init__.py", "")])
def test_a_file_of_the_applications_in_the_place_of_debugpy_is_named(tmp_path: Path, name: str, source: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(source)
    assert said_with(tmp_path) == (f"{tmp_path / name} is not debugpy, and Python finds it in its place. Rename it.")


def test_a_debugpy_that_is_not_installed_is_told_from_one_that_is_broken(tmp_path: Path) -> None:
    netaddr = find_spec("netaddr")
    assert netaddr is not None
    assert netaddr.origin is not None
    (tmp_path / "netaddr").symlink_to(Path(netaddr.origin).parent)
    # The interpreter without the virtual environment.
    bare = os.path.realpath(sys.executable)
    said = said_with(f"{SRC}{os.pathsep}{tmp_path}", executable=bare)
    assert said == f"debugpy is not installed in {sys.base_prefix}. Install debugpy 1.8.22."


def test_what_nobody_stands_in_the_way_of_blames_nobody(tmp_path: Path) -> None:
    broken = TRY.replace("for _", "import sys; sys.modules['_pydevd_bundle.pydevd_vars'] = None\nfor _", 1)
    said = said_with(tmp_path, broken)
    assert said.startswith(f"debugpy {INSTALLED} can't be loaded (ModuleNotFoundError: ")
    assert said.endswith('run python -c "import debugpy.server.api" in the application\'s environment and folder.')


# What stands in for Python 3.15's, which may not be here: the mode that it was asked for.
LAZY = """
import sys
mode = ["all"]
sys.get_lazy_imports = lambda: mode[-1]
sys.set_lazy_imports = mode.append
from stagedoor.tracing import Tracing
Tracing.load()
print(*mode)
"""


def test_imports_are_not_lazy_while_the_debugger_is_imported(tmp_path: Path) -> None:
    assert said_with(tmp_path, LAZY) == "all normal all normal all"
    assert said_with(tmp_path, LAZY.replace('["all"]', '["normal"]')) == "normal"


def test_a_mode_that_cant_be_changed_is_named_where_the_import_fails(tmp_path: Path) -> None:
    stuck = "import sys; sys.get_lazy_imports = lambda: 'all'; sys.modules['_pydevd_bundle.pydevd_vars'] = None\n" + TRY
    said = said_with(tmp_path, stuck)
    assert f"debugpy {INSTALLED} can't be loaded while Python imports lazily everywhere (" in said
    assert "without PYTHON_LAZY_IMPORTS=all" in said


@pytest.mark.skipif(not hasattr(sys, "set_lazy_imports"), reason="this Python knows no lazy imports (3.15 does)")
def test_lazy_imports_everywhere_are_no_hindrance(tmp_path: Path) -> None:
    load = "from stagedoor.tracing import Tracing; Tracing.load(); import sys; print(sys.get_lazy_imports())"
    assert said_with(tmp_path, load, PYTHON_LAZY_IMPORTS="all") == "all"


def test_a_server_with_such_a_file_says_so_and_serves_on(serve_gated: ServeGated, tmp_path: Path) -> None:
    (tmp_path / "application").mkdir()
    file = tmp_path / "application" / "xmlrpc.py"
    file.write_text("")
    server = serve_gated("gunicorn", "workers=1 threads=4", PYTHONPATH=str(file.parent))
    ide = server.ready("view")
    assert server.get("/view?mine", ALLOWED).body == "total 7 for mine"
    said = f"It imports Python's own module xmlrpc, in whose place {file} stands. Rename it"
    wait_for(lambda: said in server.log, "the log to name the file")
    assert "Install debugpy" not in server.log
    assert not [line for line in ide.console() if "your IDE" in line]


# A fork in the middle

FORK = """
import builtins, json, os, sys, threading
from stagedoor.tracing import Tracing

is_begun, go_on, late = threading.Event(), threading.Event(), sys.argv[1]

def slow(event, arguments):
    # Not while a module is looked for: then the import lock is held, for which a fork waits.
    if event == "exec" and getattr(arguments[0], "co_filename", "").endswith(late):
        is_begun.set()
        go_on.wait(30)

def left():
    added = [name for name in ("execfile", "runfile") if hasattr(builtins, name)]
    hook = [] if sys.breakpointhook is sys.__breakpointhook__ else ["breakpointhook"]
    return {name: value for name, value in os.environ.items() if name.startswith("PYDEVD_")}, added + hook

sys.addaudithook(slow)
loading = threading.Thread(target=Tracing.load)
loading.start()
assert is_begun.wait(30), late
in_parent = left()
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, json.dumps(left()).encode())
    os._exit(0)
os.waitpid(child, 0)
go_on.set()
loading.join()
print(json.dumps([in_parent, json.loads(os.read(reading, 65536)), left()]))
"""


@pytest.mark.parametrize("late", ["/pydevd.py", "/pydevd_vars.py", "/server/api.py"])
@pytest.mark.parametrize("own", [None, "0"], ids=["a variable of ours", "a variable of the application's"])
def test_a_child_that_was_forked_during_the_import_finds_nothing_of_it(late: str, own: str | None) -> None:
    name = "PYDEVD_DISABLE_FILE_VALIDATION"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYDEVD_")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, late],
        env=environ if own is None else environ | {name: own},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    in_parent, in_child, afterwards = json.loads(done.stdout)
    assert in_parent[0][name] == "1"
    assert in_child == afterwards == [{} if own is None else {name: own}, []]
