"""How the gatekeeper's process is started: with the standard library and two packages, and nothing else of the
application's environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import netaddr
import pytest

import stagedoor
from stagedoor.control.connection import ControlConnection
from support.gatekeepers import end_gatekeeper
from support.scripted import some_config, some_window

PACKAGES = [Path(module.__file__).parent for module in (stagedoor, netaddr)]

#: What a worker does: it says hello, which starts the gatekeeper, and looks at it.
WORKER = """
import json, sys
from stagedoor.audit import Audit
from stagedoor.worker.launcher import say_hello
from stagedoor.control.config import GatekeeperConfig
connection = say_hello(*GatekeeperConfig.load(sys.argv[1]), Audit())
print("started")
"""

#: A module that nobody may run, or that says who does.
TELL = """
import os, sys
with open({told!r}, "a") as stream:
    stream.write(__name__ + " in " + repr(sys.orig_argv) + "\\n")
"""

#: Modules that the gatekeeper imports, some of them before any line of its own, and whatever else a folder can hold.
SHADOWING = ["asyncio", "selectors", "json", "signal", "encodings", "importlib", "pathlib", "sitecustomize"]


class Environment:
    """A virtual environment of its own, which holds Stagedoor and netaddr in one of the ways that there are."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "venv", symlinks=True)
        self.python = str(folder / "venv" / "bin" / "python")
        [self.packages] = (folder / "venv" / "lib").glob("python*/site-packages")
        self._folder = folder
        self.told = folder / "told"
        self.window = some_window()
        self.config = some_config(folder / "run" / "control")

    def install(self, how: str) -> None:
        if how == "installed":
            for package in PACKAGES:
                shutil.copytree(package, self.packages / package.name)
        elif how == "editable":
            lines = [str(package.parent) for package in PACKAGES]
            (self.packages / "editable.pth").write_text("\n".join(lines))
        else:
            archive = self._folder / "packages.zip"
            with zipfile.ZipFile(archive, "w") as zipped:
                for package in PACKAGES:
                    for path in package.rglob("*"):
                        zipped.write(path, path.relative_to(package.parent))
            (self.packages / "zipped.pth").write_text(str(archive))

    def shadow(self, folder: Path) -> None:
        """Put modules into ``folder`` that stand in the way, if it is looked at before the standard library."""
        for name in SHADOWING:
            (folder / f"{name}.py").write_text(TELL.format(told=str(self.told)))

    def start(self, **environ: str) -> int:
        """Start a gatekeeper as a worker of this environment does; returns its process id."""
        worker = subprocess.run(
            [self.python, "-c", WORKER, self.config.dump(self.window)],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert worker.stdout == "started\n", worker.stderr
        with closing(ControlConnection(Path(self.config.control))) as connection:
            return int(connection.ask({"status": {}}, timeout=2)["status"]["pid"])

    def told_by_gatekeepers(self) -> list[str]:
        lines = self.told.read_text().splitlines() if self.told.exists() else []
        return [line for line in lines if "stagedoor.gatekeeper" in line and "say_hello" not in line]


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    made = Environment(tmp_path)
    yield made
    end_gatekeeper(made.config.control)


@pytest.mark.parametrize("how", ["installed", "editable", "zipped"])
def test_it_is_found_wherever_stagedoor_is(environment: Environment, how: str) -> None:
    environment.install(how)
    environment.start()


def test_no_module_beside_it_is_taken_for_one_of_the_standard_library(environment: Environment) -> None:
    environment.install("installed")
    environment.shadow(environment.packages)
    environment.start()
    assert environment.told_by_gatekeepers() == []


def test_no_pth_file_runs_in_it(environment: Environment) -> None:
    environment.install("installed")
    (environment.packages / "teller.py").write_text(TELL.format(told=str(environment.told)))
    (environment.packages / "zzz.pth").write_text("import teller\n")
    environment.start()
    assert environment.told.exists()  # The worker's own.
    assert environment.told_by_gatekeepers() == []


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONUSERBASE", "PYTHONSTARTUP", "PYTHONSAFEPATH"])
def test_no_variable_says_what_it_imports(environment: Environment, tmp_path: Path, variable: str) -> None:
    environment.install("installed")
    folder = tmp_path / "elsewhere"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for each in (folder, folder / "lib" / version / "site-packages"):
        each.mkdir(parents=True, exist_ok=True)
        (each / "sitecustomize.py").write_text(TELL.format(told=str(environment.told)))
    environment.start(**{variable: str(folder)})
    assert environment.told_by_gatekeepers() == []


def test_it_can_import_two_packages_and_no_third(environment: Environment) -> None:
    environment.install("installed")
    (environment.packages / "third.py").write_text("")
    code = (
        "import json, subprocess, sys; from stagedoor.worker.interpreter import isolated_command;"
        "command = isolated_command('probe', ('stagedoor', 'netaddr', 'probe'));"
        "print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)"
    )
    probe = environment.packages / "probe"
    probe.mkdir()
    (probe / "__init__.py").write_text("")
    (probe / "__main__.py").write_text(
        "import json, sys, importlib.util\n"
        "def main():\n"
        "    names = ['stagedoor', 'netaddr', 'third', 'pip']\n"
        "    print(json.dumps([name for name in names if importlib.util.find_spec(name)]))\n"
    )
    answer = subprocess.run([environment.python, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert json.loads(answer.stdout) == ["stagedoor", "netaddr"]


def test_the_configuration_is_not_on_its_command_line(environment: Environment) -> None:
    environment.install("installed")
    pid = environment.start()
    command = Path(f"/proc/{pid}/cmdline").read_bytes()
    assert environment.window.token.encode() not in command
    assert environment.config.control.encode() not in command
