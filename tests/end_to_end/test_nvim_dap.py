"""A client that is not ours: nvim-dap, in a Neovim without a screen.

It is no package of a registry: ``STAGEDOOR_TESTS_NVIM_DAP`` names the folder of a checkout
(https://github.com/mfussenegger/nvim-dap; its newest releases want a newer Neovim than Debian's).
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from conftest import ServeGated
from support import application
from support.application import stop_line
from support.client_script import ClientScript
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


def editor(folder: Path, server: GatedServer, token: str) -> ClientScript:
    """Neovim with the script."""
    told = {
        "STAGEDOOR_TESTS_PORT": str(server.debug_port),
        "STAGEDOOR_TESTS_TOKEN": token,
        "STAGEDOOR_TESTS_FILE": application.__file__,
        "STAGEDOOR_TESTS_LINE": str(stop_line("view")),
    }
    places = {f"XDG_{name}_HOME": str(folder) for name in ("CONFIG", "DATA", "STATE", "CACHE")}
    options = ["--headless", "-u", "NONE", "-i", "NONE", "-n"]
    command = ["nvim", *options, "--cmd", f"set runtimepath^={os.environ[PLACE]}", "-c", f"luafile {SCRIPT}"]
    return ClientScript(command, told | places)


@needs_neovim
@needs_nvim_dap
def test_nvim_dap_stops_steps_evaluates_and_leaves(serve_gated: ServeGated, tmp_path: Path) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    window = server.open()
    server.joined()
    with editor(tmp_path / "nvim", server, window.token) as client:
        client.step("attached")
        request = server.start_get("/view?mine", ALLOWED)
        assert client.step("stopped") == {"frame": "view", "line": stop_line("view")}
        assert client.step("stopped") == {"frame": "view", "line": stop_line("view") + 1}
        assert not request.done
        assert client.step("evaluated") == {"result": "'minemine'"}
        client.step("terminated")
        # Paused when it left.
        assert request.answer().body == "total 7 for mine"
        assert client.ended() == 0
        wait_for(lambda: server.status()["sessions"] == [], "the gatekeeper to have let go of the session")
