from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from support.gatekeepers import GatedServer
from support.scripted import RunningGatekeeper
from support.servers import ServerProcess
from support.sites import Site, open_site
from support.stage import Stage

# A loaded machine is slow, which is no property of the code.
settings.register_profile("stagedoor", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("stagedoor")

Serve = Callable[..., ServerProcess]
ServeGated = Callable[..., GatedServer]
OpenSite = Callable[..., Site]
Start = Callable[..., RunningGatekeeper]


@pytest.fixture(autouse=True)
def settings_stay() -> Iterator[None]:
    """A test that leaves a setting in this process's environment fails, and not one that comes after it."""
    before = settings_of(os.environ)
    yield
    assert settings_of(os.environ) == before


def settings_of(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name.startswith("STAGEDOOR_")}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts servers; ends them after the test, also when it fails, and then shows what they have logged."""
    servers: list[ServerProcess] = []

    def start(server: str = "waitress", **keywords: Any) -> ServerProcess:
        servers.append(ServerProcess(tmp_path, server, **keywords))
        return servers[-1]

    yield start
    for server in reversed(servers):
        server.stop()
        print(server.log)


@pytest.fixture
def serve_gated(tmp_path: Path) -> Iterator[ServeGated]:
    """The same behind the gatekeeper."""
    servers: list[GatedServer] = []

    def start(server: str = "gunicorn", options: str = "", **keywords: Any) -> GatedServer:
        servers.append(GatedServer(tmp_path, server, options=options, **keywords))
        return servers[-1]

    yield start
    for server in reversed(servers):
        server.stop()
        print(server.log)


@pytest.fixture(scope="module")
def shared_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the tests of a module: see :func:`support.sites.served`."""
    with open_site(tmp_path_factory.mktemp("site"), *request.param) as site:
        yield site


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    """The same; a request that a test leaves paused does not stay so."""
    yield shared_site
    shared_site.settle()


@pytest.fixture
def own_site(tmp_path: Path) -> Iterator[OpenSite]:
    """Starts sites of the test's own, with a window open."""
    with ExitStack() as sites:
        yield lambda *arguments, **keywords: sites.enter_context(open_site(tmp_path, *arguments, **keywords))


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The test application behind Stagedoor, in this process."""
    made = Stage()
    yield made
    made.stop()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts gatekeepers, for which tests play the workers; ends them after the test."""
    with ExitStack() as running:
        yield lambda *arguments, **settings: running.enter_context(RunningGatekeeper(*arguments, **settings))


@pytest.fixture
def gatekeeper(start: Start) -> RunningGatekeeper:
    """One of them, with the usual settings."""
    return start()
