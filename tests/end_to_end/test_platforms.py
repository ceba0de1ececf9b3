"""Where Stagedoor does not run, or not all of it: one sentence, and no traceback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import stagedoor

SOURCE = Path(stagedoor.__file__).parent.parent
COMMANDS = ["status", "open --for 30m", "gatekeeper --foreground"]


def old_pythons() -> list[str]:
    """Those of this machine below 3.11: version managers keep theirs beside the one that runs."""
    found = [str(path) for path in Path(sys.base_prefix).parent.glob("*3.*/bin/python3")]
    found += [path for name in ("python3.9", "python3.10") if (path := shutil.which(name))]
    old = []
    for path in found:
        said = subprocess.run([path, "-c", "import sys; print(sys.version_info < (3, 11) and sys.version_info > (3, 6))"],
            capture_output=True, text=True, check=False)  # fmt: skip
        if said.stdout.strip() == "True":
            old.append(path)
    return old


OLD = old_pythons()
needs_old = pytest.mark.skipif(not OLD, reason="there is no Python below 3.11 on this machine")


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PYTHONPATH": str(SOURCE)} | variables
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@needs_old
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("python", OLD)
def test_a_command_on_an_older_python_says_one_sentence(python: str, command: str, tmp_path: Path) -> None:
    script = tmp_path / "stagedoor"  # as pip makes it
    script.write_text("import sys\nfrom stagedoor.cli import main\nsys.exit(main())\n")
    for start in ([python, "-m", "stagedoor"], [python, str(script)]):
        said = run(*start, *command.split(), PYTHONDONTWRITEBYTECODE="1")
        assert (said.returncode, said.stdout) == (1, "")
        assert re.fullmatch(
            rf"stagedoor: Stagedoor needs Python 3\.11 or newer, and this is Python 3\.\d+: {re.escape(python)}\."
            r" Install it for a newer one\.\n",
            said.stderr,
        )


@needs_old
@pytest.mark.parametrize("python", OLD)
def test_an_application_on_an_older_python_gets_an_import_error_that_says_so(python: str) -> None:
    script = "try:\n    import stagedoor\nexcept ImportError as error:\n    print(error)\n"
    said = run(python, "-c", script, PYTHONDONTWRITEBYTECODE="1")
    assert said.stdout.startswith("Stagedoor needs Python 3.11 or newer, and this is Python 3.")


#: Platforms as Python sees them: without the modules and names that they don't have, before Stagedoor is imported.
BARE = """
import os, select, socket, sys
for name in ("fcntl", "pwd", "grp", "termios", "resource"):
    sys.modules[name] = None
for module, name in ((socket, "AF_UNIX"), (socket, "SO_PEERCRED"), (select, "poll")):
    if hasattr(module, name):
        delattr(module, name)
"""
PLATFORMS = {
    "without fcntl, pwd and Unix sockets": BARE,
    "the same, and no users": BARE
    + """
import argparse, asyncio, getpass, logging, random, shutil, subprocess, tempfile  # which look for Windows' own modules
for name in ("geteuid", "getuid", "getegid", "getgid", "fchmod", "fork", "register_at_fork"):
    delattr(os, name)
sys.platform = "win32"
""",
}
ENTRY = """
sys.argv[0] = "stagedoor"
from stagedoor.cli import main
raise SystemExit(main())
"""


@pytest.fixture(params=PLATFORMS.values(), ids=PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def command(platform: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    switch = str(tmp_path / "switch" / "window.json")
    # Without a name for the user too: Windows says it in other variables than those that are looked at last.
    nameless = {"LOGNAME": "", "USER": "", "LNAME": "", "USERNAME": ""}
    said = run(sys.executable, "-c", platform + ENTRY, *arguments, STAGEDOOR_SWITCH=switch, **nameless)
    assert "Traceback" not in said.stderr, said.stderr
    return said


@pytest.mark.parametrize("arguments", ["gatekeeper --foreground", "demo"])
def test_what_needs_the_gatekeeper_says_one_sentence(platform: str, tmp_path: Path, arguments: str) -> None:
    said = command(platform, tmp_path, *arguments.split())
    assert (said.returncode, said.stdout) == (1, "")
    name = f"stagedoor {arguments.split()[0]}"
    assert said.stderr.startswith(
        f"stagedoor: {name} needs the gatekeeper, and Python has no fcntl and no socket.AF_UNIX"
    )
    assert said.stderr.count("\n") == 1
    assert 'debugger="listen"' in said.stderr


def test_all_other_commands_work_there(platform: str, tmp_path: Path) -> None:
    assert command(platform, tmp_path, "status").returncode == 1
    opened = command(platform, tmp_path, "open", "--for", "30m")
    assert (opened.returncode, opened.stderr) == (0, "")
    for arguments in (["status"], ["status", "--json"], ["until", "30m"], ["launch-json"], ["close"]):
        assert command(platform, tmp_path, *arguments).returncode == 0
    assert command(platform, tmp_path, "status").returncode == 1


APPLICATION = """
from datetime import timedelta
from stagedoor import StageDoor
door = StageDoor(lambda environ, start_response: [], allow="203.0.113.7", switch="memory")
door.open(timedelta(minutes=1))
print(door.settings.debugger, list(door({"REMOTE_ADDR": "203.0.113.9"}, lambda *arguments: None)))
"""


def test_an_application_there_debugs_by_itself(platform: str) -> None:
    said = run(sys.executable, "-c", platform + APPLICATION)
    assert said.stdout == "listen []\n", said.stderr


def test_a_setting_that_asks_for_the_gatekeeper_there_is_refused(platform: str) -> None:
    said = run(sys.executable, "-c", platform + APPLICATION, STAGEDOOR_DEBUGGER="gatekeeper")
    assert "ConfigurationError: STAGEDOOR_DEBUGGER='gatekeeper' is not one of its values" in said.stderr
