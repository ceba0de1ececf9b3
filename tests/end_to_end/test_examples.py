"""The files in ``examples/``, started for real where this machine can."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stagedoor.settings.settings import Settings
from support.gatekeepers import GatedServer
from support.modules import ROOT
from support.servers import ALLOWED, OTHER, free_port, is_listening
from support.waiting import wait_for

EXAMPLES = ROOT / "examples"
APP = EXAMPLES / "app.py"
#: Debian has nginx where only the superuser looks.
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def line_of(text: str) -> int:
    """The number of the line of the example application that holds ``text``."""
    return next(number for number, line in enumerate(APP.read_text().splitlines(), 1) if text in line)


class Shop(GatedServer):
    """The example application under gunicorn with the example's configuration."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "gunicorn")
        self.workers = 4

    def command(self, python: str, server: str, app: str) -> list[str]:
        configuration = str(EXAMPLES / "gunicorn.conf.py")
        bind = f"{self.host}:{self.port}"
        return [python, "-B", "-m", "gunicorn", "-c", configuration, "--chdir", str(EXAMPLES), "--bind", bind]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    server = Shop(tmp_path)
    yield server
    server.stop()
    print(server.log)


@pytest.fixture
def shop_behind_nginx(shop: Shop, tmp_path: Path) -> Iterator[Shop]:
    """The same with the example's nginx in front, which then has the server's port."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    port, site = free_port(), (EXAMPLES / "nginx.conf").read_text()
    for shown, real in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("server app:8000;", f"server 127.0.0.1:{shop.port};"),
    ):
        assert site.count(shown) == 1
        site = site.replace(shown, real)
    (tmp_path / "site.conf").write_text(site)
    places = " ".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = tmp_path / "nginx.conf"
    main.write_text(
        f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places} include {tmp_path}/site.conf; }}\n"
    )
    nginx = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(main), "-e", "stderr"], start_new_session=True)
    try:
        wait_for(lambda: is_listening(port), "nginx to listen")
        shop.port = port
        yield shop
    finally:
        nginx.terminate()
        nginx.wait(5)


def total(answer: Any) -> object:
    return json.loads(answer.body)["total"]


def test_the_application_under_gunicorn_stops_in_every_worker(shop: Shop) -> None:
    shop.open()
    assert len(shop.joined()) == 4
    ide = shop.ide(breakpoints={str(APP): [line_of("return {")]})
    paused = shop.start_get("/basket?item=apple&item=pear", ALLOWED)
    stop = ide.stopped()
    assert stop.frame()["name"] == "basket"
    assert stop.locals()["wanted"] == "['apple', 'pear']"
    assert total(shop.get("/basket?item=pear", OTHER)) == 4
    stop.resume()
    assert total(paused.answer()) == 7
    assert "stagedoor.audit paused: GET /basket" in shop.log


def test_behind_nginx_the_visitors_address_decides(shop_behind_nginx: Shop) -> None:
    server = shop_behind_nginx
    server.open()
    server.joined()
    ide = server.ide(breakpoints={str(APP): [line_of("return {")]})
    paused = server.start_get("/basket?item=apple", ALLOWED)
    stop = ide.stopped()
    forged = server.get("/basket?item=pear", OTHER, headers={"X-Forwarded-For": ALLOWED})
    assert json.loads(forged.body) == {"visitor": OTHER, "total": 4}
    assert "Stagedoor" not in forged.headers
    stop.resume()
    assert json.loads(paused.answer().body) == {"visitor": ALLOWED, "total": 3}


def unit_lines() -> list[tuple[str, str]]:
    """The settings of the systemd unit, in order; a name can come again."""
    lines = (EXAMPLES / "stagedoor.service").read_text().splitlines()
    return [
        (name, value)
        for name, separator, value in (line.partition("=") for line in lines)
        if separator and name[0] != "#"
    ]


def unit_environment() -> dict[str, str]:
    return dict(value.split("=", 1) for name, value in unit_lines() if name == "Environment")


def compose() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return dict(yaml.safe_load((EXAMPLES / "docker-compose.yml").read_text()))


def compose_environment() -> dict[str, str]:
    return dict(compose()["services"]["app"]["environment"])


@pytest.mark.parametrize("environment", [unit_environment, compose_environment])
def test_stagedoor_accepts_the_environment_and_keeps_everything_in_the_runtime_directory(
    environment: Callable[[], dict[str, str]],
) -> None:
    environ = environment()
    settings = Settings.read(environ=environ)
    assert list(settings.allow) == ["203.0.113.7"]
    assert settings.bind.is_local
    assert settings.switch.name.endswith("/run/shop/window.json")
    assert settings.gatekeeper_config().control.startswith("/run/shop/")


def test_the_unit_is_one_that_systemd_accepts(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (EXAMPLES / "stagedoor.service").read_text()
    command = next(value for name, value in unit_lines() if name == "ExecStart")
    # It looks whether the program and the folder are there.
    unit = unit.replace(shlex.split(command)[0], sys.executable).replace("/srv/shop", str(tmp_path))
    (tmp_path / "stagedoor.service").write_text(unit)
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "stagedoor.service")]
    answer = subprocess.run(verify, capture_output=True, text=True, check=False)
    complaints = [line for line in (answer.stdout + answer.stderr).splitlines() if "stagedoor" in line]
    assert complaints == []


def test_the_unit_runs_the_configuration_that_is_tested() -> None:
    command = next(value for name, value in unit_lines() if name == "ExecStart")
    assert shlex.split(command)[1:] == ["-c", "gunicorn.conf.py"]


def test_the_compose_file_mounts_what_is_there_and_publishes_only_nginx() -> None:
    services = compose()["services"]
    assert "ports" not in services["app"]
    assert shlex.split(services["app"]["command"])[:3] == ["gunicorn", "-c", "gunicorn.conf.py"]
    for service in services.values():
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert source == "./run" or (EXAMPLES / source).exists()
    assert "server app:8000;" in (EXAMPLES / "nginx.conf").read_text()
