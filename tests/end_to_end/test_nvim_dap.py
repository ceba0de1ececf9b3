"""A client that is not ours: nvim-dap, in a Neovim without a screen.

It is no package of a registry: ``STAGEDOOR_TESTS_NVIM_DAP`` names the folder of a checkout
(https://github.com/mfussenegger/nvim-dap; its newest releases want a newer Neovim than Debian's).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import application
from support.application import stop_line
from support.gatekeepers import GatedServer
from support.modules import ROOT
from support.servers import ALLOWED
from support.waiting import wait_for

SCRIPT = ROOT / "tests" / "support" / "nvim_dap.lua"
PLACE = "STAGEDOOR_TESTS_NVIM_DAP"

needs_neovim = pytest.mark.skipif(shutil.which("nvim") is None, reason="Neovim is not installed")
needs_nvim_dap = pytest.mark.skipif(
    not os.environ.get(PLACE), reason=f"{PLACE} does not name the folder of a checkout of nvim-dap"
)


class Editor:
    """Neovim with the script, and the steps that it tells of."""

    def __init__(self, folder: Path, server: GatedServer, token: str) -> None:
        told = {
            "STAGEDOOR_TESTS_PORT": str(server.debug_port),
            "STAGEDOOR_TESTS_TOKEN": token,
            "STAGEDOOR_TESTS_FILE": application.__file__,
            "STAGEDOOR_TESTS_LINE": str(stop_line("view")),
        }
        places = {f"XDG_{name}_HOME": str(folder) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
        options = ["--headless", "-u", "NONE", "-i", "NONE", "-n"]
        self._process = subprocess.Popen(
            ["nvim", *options, "--cmd", f"set runtimepath^={os.environ[PLACE]}", "-c", f"luafile {SCRIPT}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | told | places,
            text=True,
        )
        self._patience = threading.Timer(30, self._process.kill)
        self._patience.start()

    def step(self, name: str) -> dict[str, Any]:
        """Wait for the next step, which has to be ``name``."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        assert line, f"Neovim ended before {name!r}: {self._process.stderr.read()}"
        step = dict(json.loads(line))
        assert step.pop("step") == name, step
        return step

    def ended(self) -> int:
        return self._process.wait(10)

    def stop(self) -> None:
        self._patience.cancel()
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GatedServer]:
    running = GatedServer(tmp_path, "gunicorn", options="workers=2 threads=4")
    yield running
    running.stop()
    print(running.log)


@needs_neovim
@needs_nvim_dap
def test_nvim_dap_stops_steps_evaluates_and_leaves(server: GatedServer, tmp_path: Path) -> None:
    window = server.open()
    server.joined()
    editor = Editor(tmp_path / "nvim", server, window.token)
    try:
        editor.step("attached")
        request = server.start_get("/view?mine", ALLOWED)
        assert editor.step("stopped") == {"frame": "view", "line": stop_line("view")}
        assert editor.step("stopped") == {"frame": "view", "line": stop_line("view") + 1}
        assert not request.done
        assert editor.step("evaluated") == {"result": "'minemine'"}
        editor.step("terminated")
        # Paused when it left.
        assert request.answer().body == "total 7 for mine"
        assert editor.ended() == 0
        wait_for(lambda: server.status()["sessions"] == [], "the gatekeeper to have let go of the session")
    finally:
        editor.stop()
