"""Seeds of trouble: what is seen around a request, and what is said about it."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import bottle
import pytest
from flask import Flask
from werkzeug.debug import DebuggedApplication
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import stagedoor
from conftest import ServeGated
from stagedoor import StageDoor
from stagedoor.application.layers import layers
from stagedoor.integrations.flask import StageDoor as FlaskStageDoor
from stagedoor.worker import diagnostics as seen
from stagedoor.worker.servers import Server
from support.servers import ALLOWED
from support.stage import make_environ, serve
from support.waiting import wait_for


def plain(environ: Any, start_response: Any) -> list[bytes]:
    return []


class Middleware:
    """Somebody's, which keeps the application under an attribute of a common name."""

    def __init__(self, **inner: Any) -> None:
        self.__dict__ |= inner

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def flask_app(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(config)
    return app


@pytest.mark.parametrize(
    "attribute",
    [
        "app",
        "application",
        "_app",
        "wrapped",
        "wsgi_app",
        "wsgi",
        "_Middleware__app",
        "inner_application",
        "__wrapped__",
    ],
)
def test_layers_are_found_through_the_attributes_that_middleware_uses(attribute: str) -> None:
    inner = Middleware()
    outer = Middleware(**{attribute: Middleware(app=inner)})
    assert list(layers(outer))[-1] is inner


def test_layers_are_found_in_closures_partials_and_mounts() -> None:
    inner = Middleware()

    def closing_over(app: Any) -> Any:
        def middleware(environ: Any, start_response: Any) -> Any:
            return app(environ, start_response)

        return middleware

    for outer in (
        closing_over(closing_over(inner)),
        functools.partial(plain, inner),
        functools.wraps(inner)(lambda environ, start_response: []),
        Middleware(apps=[plain, Middleware(app=inner)]),
        DispatcherMiddleware(plain, {"/shop": inner}),
    ):
        assert inner in list(layers(outer))


def test_no_property_is_run_and_no_class_is_taken_for_a_layer() -> None:
    class Careful(Middleware):
        @property
        def app(self) -> Any:
            raise AssertionError("it was run")

    careful = Careful(application=Middleware, wrapped="text")
    assert list(layers(careful)) == [careful]


def test_layers_of_an_application_that_wraps_itself_come_to_an_end() -> None:
    circle = Middleware()
    circle.__dict__["app"] = circle
    assert list(layers(circle)) == [circle]


def test_what_is_outside_of_stagedoor_is_not_inside() -> None:
    app = flask_app()
    FlaskStageDoor(app, switch="memory")
    door = app.wsgi_app
    app.wsgi_app = ProxyFix(DebuggedApplication(app.wsgi_app))  # type: ignore[method-assign]
    assert seen.proxy_fix_inside(door._app) is None  # type: ignore[attr-defined]
    assert seen.debugger_inside(door._app) is None  # type: ignore[attr-defined]
    assert seen.named(door._app, "flask.app.Flask") is app  # type: ignore[attr-defined]


INSIDE: list[Any] = [
    pytest.param(seen.debugger_inside, DebuggedApplication, "Werkzeug's interactive debugger", id="the debugger"),
    pytest.param(seen.proxy_fix_inside, ProxyFix, "ProxyFix is inside StageDoor", id="ProxyFix"),
]


@pytest.mark.parametrize(("look", "layer", "says"), INSIDE)
def test_a_layer_inside_is_seen_however_deep_it_is(look: Callable[[Any], str | None], layer: Any, says: str) -> None:
    assert says in (look(layer(plain)) or "")
    assert says in (look(Middleware(app=Middleware(application=layer(plain)))) or "")
    assert look(plain) is None
    assert look(Middleware(app=plain)) is None


@pytest.mark.parametrize(
    ("config", "says"),
    [
        pytest.param({}, True, id="production settings"),
        pytest.param({"PROPAGATE_EXCEPTIONS": False}, True, id="told not to let errors through"),
        pytest.param({"PROPAGATE_EXCEPTIONS": True}, False, id="told to let errors through"),
        pytest.param({"DEBUG": True}, False, id="debug mode, which lets them through"),
        pytest.param({"DEBUG": True, "PROPAGATE_EXCEPTIONS": False}, True, id="debug mode, told not to"),
    ],
)
def test_flask_without_its_integration_makes_pages_of_errors(config: dict[str, Any], says: bool) -> None:
    app = flask_app(**config)
    assert ("Flask makes a 500 page" in (seen.errors_swallowed(app.wsgi_app) or "")) is says
    FlaskStageDoor(app, switch="memory")
    assert seen.errors_swallowed(app.wsgi_app) is None


@pytest.mark.parametrize(
    ("version", "says"),
    [
        pytest.param("0.12.25", True, id="before 0.13"),
        pytest.param("0.11", True, id="long before"),
        pytest.param("0.13.4", False, id="0.13"),
        pytest.param("0.14-dev", False, id="newer"),
        pytest.param("1.0", False, id="newest"),
    ],
)
def test_a_bottle_that_tells_nobody_of_errors(version: str, says: bool) -> None:
    module = SimpleNamespace(__version__=version)
    app = bottle.Bottle()
    said = seen.old_bottle(Middleware(app=app), module) or ""
    assert (f"Bottle {version} makes a 500 page" in said) is says
    assert seen.old_bottle(plain, module) is None
    app.error(500)(lambda error: str(error))
    assert (seen.old_bottle(app, module) is not None) is says
    app.error(500)(lambda error: stagedoor.stop_on_exception(error.exception))
    assert seen.old_bottle(app, module) is None
    app = bottle.Bottle()
    app.catchall = False
    assert seen.old_bottle(app, module) is None


def test_flask_in_debug_mode() -> None:
    assert "Flask's debug mode is on" in (seen.debug_mode(flask_app(DEBUG=True).wsgi_app) or "")
    assert seen.debug_mode(flask_app().wsgi_app) is None
    assert seen.debug_mode(plain) is None


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        pytest.param({"WERKZEUG_RUN_MAIN": "true"}, "--no-reload", id="Werkzeug's"),
        pytest.param({"RUN_MAIN": "true"}, "--noreload", id="Django's"),
        pytest.param({"WERKZEUG_RUN_MAIN": "false"}, None, id="none: the variable says no"),
        pytest.param({}, None, id="none"),
    ],
)
def test_the_reloader(variables: dict[str, str], remedy: str | None) -> None:
    said = seen.reloader(variables)
    assert said is None if remedy is None else remedy in (said or "")


@pytest.mark.parametrize(
    ("server", "says"),
    [
        pytest.param(Server("uWSGI", 1, has_other_processes=True), True, id="processes of one thread"),
        pytest.param(Server("uWSGI", 1), False, id="one thread: nothing is paused there"),
        pytest.param(Server(), False, id="a server that can't be asked"),
        pytest.param(Server("uWSGI", 4, has_other_processes=True), False, id="threads"),
    ],
)
def test_a_server_without_threads(server: Server, says: bool) -> None:
    assert (seen.one_request_at_a_time(server) is not None) is says


def tracer(frame: Any, event: str, argument: Any) -> None: ...


def test_nothing_holds_the_trace_function() -> None:
    assert seen.trace_function_taken(None, None, None) is None


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the debugger uses sys.monitoring")
def test_another_tool_holds_the_trace_function() -> None:
    for trace, threading_trace in ((tracer, None), (None, tracer)):
        said = seen.trace_function_taken(trace, threading_trace, None)
        assert said is not None
        assert __name__ in said


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there is no sys.monitoring")
def test_another_tool_holds_the_place_in_monitoring() -> None:
    assert "'mytool' holds" in (seen.trace_function_taken(None, None, "mytool") or "")
    assert seen.trace_function_taken(tracer, tracer, None) is None, "sys.settrace is nothing to sys.monitoring"
    assert seen.trace_function_taken(None, None, "pydevd") is None, "the debugger itself"


class Hostile:
    """An application that fails when it is looked at."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("do not look")

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []


def test_an_application_that_fails_when_it_is_looked_at_does_no_harm() -> None:
    assert seen.seeds_of_trouble(Hostile(), {}, {}) == []


def test_each_is_said_once_in_the_log_and_in_the_debug_console(serve_gated: ServeGated) -> None:
    server = serve_gated("waitress", app="support.flask_site:app", STAGEDOOR_TESTS_PLAIN="1", WERKZEUG_RUN_MAIN="true")
    server.open()
    wait_for(lambda: server.get("/pid", ALLOWED) and os.path.exists(server.control_path), "the gatekeeper to listen")
    ide = server.ide()
    for _ in range(3):
        server.get("/hello", ALLOWED)
    session = ide.session
    session.request("threads")  # Its answer comes after all that was said before.
    for sign in ("Flask makes a 500 page", "The server's reloader is on"):
        assert session.wait_event("output", lambda body, sign=sign: sign in body["output"])  # type: ignore[misc]
        assert server.log.count(sign) == 1
        assert len([event for event in session.events if sign in str(event)]) == 1
    # And once, when the application started, that the tests' allowlist has loopback in it.
    assert server.log.count("stagedoor.audit trouble: ") == 3


def test_a_proxy_fix_inside_is_said_when_the_first_request_is_refused(serve_gated: ServeGated, tmp_path: Path) -> None:
    (tmp_path / "inside.py").write_text(
        "from support.application import application\n"
        "from werkzeug.middleware.proxy_fix import ProxyFix\n"
        "wrong = ProxyFix(application)\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    server = serve_gated("waitress", app="inside:wrong", PYTHONPATH=path)
    server.open()
    wait_for(
        lambda: server.get("/hello", ALLOWED, {"X-Forwarded-For": ALLOWED}) and "ProxyFix is inside" in server.log,
        "the log to say so",
    )


def test_importing_stagedoor_loads_no_framework() -> None:
    script = (
        "import sys, stagedoor; frameworks = {'flask', 'django', 'werkzeug', 'click', 'jinja2', 'debugpy', 'pydevd'};"
        "print(sorted(frameworks & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_door_is_a_layer_as_well() -> None:
    door = StageDoor(plain, switch="memory")
    assert list(layers(ProxyFix(door)))[1:] == [door, plain]


# How ProxyFix is applied: the line is pasted into a module as its application has it


FORWARDED = {"X-Forwarded-For": "203.0.113.7"}
MODULES = {
    "Flask": "from flask import Flask\nfrom stagedoor.integrations.flask import StageDoor\nshop = Flask('shop')\n"
    "StageDoor(shop, **settings)\ndoor = shop.wsgi_app\n",
    "Flask, with the middleware alone": "from flask import Flask\nfrom stagedoor import StageDoor\napp = Flask('shop')\n"
    "app.wsgi_app = door = StageDoor(app.wsgi_app, **settings)\ndel door\n",
    "Django": "import django\nfrom django.conf import settings as project\n"
    "project.configured or project.configure(INSTALLED_APPS=[], ROOT_URLCONF='')\n"
    "from django.test import override_settings\nurlpatterns = []\n"
    "override = override_settings(ROOT_URLCONF='pasted_into', ALLOWED_HOSTS=['*'])\noverride.enable()\n"
    "from stagedoor.integrations.django import get_wsgi_application\napplication = get_wsgi_application(**settings)\n",
    "a callable": "from stagedoor import StageDoor\ndef app(environ, start_response):\n    start_response('200 OK', [])\n"
    "    return []\napp = StageDoor(app, **settings)\n",
    "Bottle": "import bottle\nfrom stagedoor import StageDoor\nmain = StageDoor(bottle.Bottle(), **settings)\n",
}


@pytest.mark.parametrize("source", MODULES.values(), ids=MODULES)
def test_the_lines_that_the_log_shows_work_where_they_are_pasted(
    source: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"allow": "203.0.113.7", "switch": "memory", "debugger": "listen", "bind": "127.0.0.1:1"}
    module = ModuleType("pasted_into")
    monkeypatch.setitem(sys.modules, "pasted_into", module)
    module.__dict__["settings"] = settings
    exec(source, module.__dict__)
    name = next(name for name in ("shop", "application", "app", "main") if name in vars(module))
    served = vars(module)[name]
    door = next(layer for layer in layers(getattr(served, "wsgi_app", served)) if isinstance(layer, StageDoor))
    door.open(timedelta(minutes=5))
    headers = FORWARDED | {"X-Stagedoor": "ignore"}

    def asks() -> str | None:
        return serve(vars(module)[name], make_environ("/", "192.0.2.80", headers)).header

    assert asks() is None
    [sentence] = [each.getMessage() for each in caplog.records if "no ProxyFix has handled" in each.getMessage()]
    lines = re.findall(r"from werkzeug\S+ import ProxyFix|\S+ = ProxyFix\([^)]+\)", sentence)
    assert len(lines) == 2
    for line in lines:
        exec(line, vars(module))
    assert asks() is not None
    door.close()
    if "override" in vars(module):
        vars(module)["override"].disable()


def test_a_proxy_fix_inside_is_one_sentence_and_not_two_that_contradict(caplog: pytest.LogCaptureFixture) -> None:
    door = StageDoor(ProxyFix(plain), allow="203.0.113.7", switch="memory", debugger="listen", bind="127.0.0.1:1")
    door.open(timedelta(minutes=5))
    for _ in range(3):
        serve(door, make_environ("/", "192.0.2.80", FORWARDED))
    told = [record.getMessage() for record in caplog.records if "ProxyFix" in record.getMessage()]
    assert len(told) == 1
    assert "ProxyFix is inside StageDoor" in told[0]
    assert "Swap the two lines" in told[0]
    assert "Add these two lines" not in told[0]
    door.close()
