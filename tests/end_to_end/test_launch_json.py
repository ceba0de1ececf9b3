"""The configuration with which VS Code attaches, and the tunnel that it goes through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ServeGated
from stagedoor.access.passes import make_passes
from stagedoor.dap.ide import Ide
from stagedoor.launch_json import client_address, is_installed, launch_json, ssh_line
from stagedoor.settings.bind import parse_bind
from support import application
from support.application import stop_line
from support.servers import ALLOWED


def test_it_is_a_whole_file_with_one_configuration_that_attaches() -> None:
    document = launch_json("127.0.0.1", 5678, "/srv/shop", name="Shop")
    assert json.loads(json.dumps(document)) == document
    assert document["version"] == "0.2.0"
    [configuration] = document["configurations"]
    assert configuration == {
        "name": "Shop",
        "type": "debugpy",
        "request": "attach",
        "connect": {"host": "127.0.0.1", "port": 5678},
        "pathMappings": [{"localRoot": "${workspaceFolder}", "remoteRoot": "/srv/shop"}],
        "justMyCode": True,
        "stagedoorToken": "${input:stagedoorToken}",
    }


def test_every_input_that_it_refers_to_is_asked_for_and_hidden() -> None:
    document = launch_json("127.0.0.1", 5678, "/srv/shop")
    inputs = {given["id"]: given for given in document["inputs"]}
    assert set(re.findall(r"\$\{input:(\w+)\}", json.dumps(document["configurations"]))) == set(inputs)
    for given in inputs.values():
        assert given["type"] == "promptString"
        assert given["description"]
        assert given["password"] is True


def test_an_installed_application_is_debugged_though_it_lies_where_libraries_lie() -> None:
    [configuration] = launch_json("127.0.0.1", 5678, "/venv/shop", installed=True)["configurations"]
    assert configuration["justMyCode"] is False


@pytest.mark.parametrize(
    ("root", "installed"),
    [
        pytest.param("/srv/shop", False, id="a checkout"),
        pytest.param("/srv/venv/lib/python3.12/site-packages", True, id="where pip installs"),
        pytest.param("/srv/venv/lib/python3.12/site-packages/shop", True, id="a package that pip has installed"),
        pytest.param("/usr/lib/python3/dist-packages/shop", True, id="a package of the distribution"),
        pytest.param("/srv/site-packages-mirror/shop", False, id="a folder with a similar name"),
    ],
)
def test_where_an_application_counts_as_installed(root: str, installed: bool) -> None:
    assert is_installed(root) is installed


@pytest.mark.parametrize(
    ("bind", "address", "tunnel"),
    [
        pytest.param("127.0.0.1:5678", ("127.0.0.1", 5678), "5678:127.0.0.1:5678", id="loopback"),
        pytest.param("127.0.0.9:6000", ("127.0.0.1", 6000), "6000:127.0.0.9:6000", id="another loopback address"),
        pytest.param("[::1]:5678", ("127.0.0.1", 5678), "5678:[::1]:5678", id="IPv6 loopback"),
        pytest.param("unix:/run/shop.sock", ("127.0.0.1", 5678), "5678:/run/shop.sock", id="a Unix socket"),
        pytest.param("203.0.113.5:5678", ("203.0.113.5", 5678), None, id="an outside address"),
        pytest.param("0.0.0.0:5678", ("staging", 5678), None, id="every interface"),
        pytest.param("[::]:5678", ("staging", 5678), None, id="every interface, IPv6"),
    ],
)
def test_what_the_client_connects_to(bind: str, address: tuple[str, int], tunnel: str | None) -> None:
    place = parse_bind(bind)
    assert client_address(place, "staging") == address
    if tunnel is not None:
        assert ssh_line(place, "staging") == f"ssh -N -L {tunnel} staging"


@pytest.mark.parametrize("root", ["as it was printed", "."])
def test_an_ide_that_follows_it_stops_in_every_worker_in_one_session(
    serve_gated: ServeGated, tmp_path: Path, root: str
) -> None:
    """An IDE elsewhere: the code lies in another folder there. What it is asked for is a pass."""
    server = serve_gated("gunicorn", "workers=2 threads=4")
    window, code = server.open(), Path(application.__file__)
    server.joined()
    folder = os.readlink(f"/proc/{server.process.pid}/cwd") if root == "." else os.fspath(code.parent)
    command = [sys.executable, "-m", "stagedoor", "launch-json", "--root", folder]
    bind = {"STAGEDOOR_BIND": f"127.0.0.1:{server.debug_port}"}
    printed = subprocess.run(command, env={**os.environ, **bind}, check=True, capture_output=True, text=True).stdout
    [configuration] = json.loads(printed)["configurations"]
    assert configuration["pathMappings"][0]["remoteRoot"] == folder
    if root == ".":
        configuration["pathMappings"][0]["remoteRoot"] = root
    workspace = tmp_path / "workspace"
    configuration["pathMappings"][0]["localRoot"] = os.fspath(workspace)  # As VS Code has put it in.
    configuration["stagedoorToken"] = make_passes("anna", window.token).attach
    where = configuration["connect"]
    mine = workspace / code.relative_to(folder)
    headers = {"X-Stagedoor-Token": make_passes("anna", window.token).request}
    workers: set[int] = set()
    lines = {os.fspath(mine): [stop_line("view")]}
    with Ide((where["host"], where["port"]), lines, arguments=configuration) as ide:
        while len(workers) < 2:
            request = server.start_get("/view?mine", ALLOWED, headers)
            stop = ide.stopped()
            workers.add(stop.worker())
            frame = stop.frame()
            assert (frame["source"]["path"], frame["line"]) == (os.fspath(mine), stop_line("view"))
            stop.resume()
            request.answer()
        assert not [event for event in ide.session.events if event["event"] == "debugpyAttach"]
