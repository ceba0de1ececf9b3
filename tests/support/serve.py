"""Serve an application under a named server: ``python serve.py SERVER HOST PORT APPLICATION``.

``APPLICATION`` is ``module:attribute``. In the environment:

``STAGEDOOR_TESTS_BARE=1``           serve it without Stagedoor
``STAGEDOOR_TESTS_PROXY_FIX=1``      behind ``ProxyFix``, for so many proxies
``STAGEDOOR_TESTS_OPTIONS="a=b c"``  the server's own settings
``STAGEDOOR_TESTS_EXECUTABLE=/path`` what ``sys.executable`` shall be
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))


def load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def wrapped(name: str) -> Any:
    application = load(name)
    if os.environ.get("STAGEDOOR_TESTS_BARE"):
        return application
    from stagedoor import StageDoor

    door = StageDoor(application)
    if os.environ.get("STAGEDOOR_TESTS_PROXY_FIX"):
        from werkzeug.middleware.proxy_fix import ProxyFix

        return ProxyFix(door, x_for=int(os.environ["STAGEDOOR_TESTS_PROXY_FIX"]))
    return door


def start_background() -> None:
    from support.application import background

    threading.Thread(target=background, args=("background",), daemon=True, name="background").start()


def options() -> dict[str, str]:
    """The server's own settings, ``NAME=VALUE`` or ``NAME``, separated by blanks."""
    pairs = (pair.partition("=") for pair in os.environ.get("STAGEDOOR_TESTS_OPTIONS", "").split())
    return {name: value for name, _, value in pairs}


def serve_werkzeug(name: str, host: str, port: int) -> None:
    from werkzeug.serving import run_simple

    start_background()
    watched, processes = options().get("reload_when_changed"), int(options().get("processes", 1))
    run_simple(
        host, port, wrapped(name), threaded=processes == 1 and "nothreading" not in options(), processes=processes,
        use_reloader=watched is not None, reloader_type="stat", reloader_interval=0.1,
        extra_files=[watched] if watched else None,
    )  # fmt: skip


def serve_waitress(name: str, host: str, port: int) -> None:
    from waitress import serve

    start_background()
    threads = int(options().get("threads", 8))
    serve(wrapped(name), host=host, port=port, threads=threads, clear_untrusted_proxy_headers=False)


def serve_gunicorn(name: str, host: str, port: int) -> None:
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            defaults = {"bind": bind, "worker_class": "gthread", "workers": "1", "threads": "8", "loglevel": "warning"}
            for setting, value in (defaults | options()).items():
                self.cfg.set(setting, value)
            self.cfg.set("post_worker_init", lambda worker: start_background())

        def load(self) -> Any:
            return wrapped(name)

    Application().run()


def serve_gevent(name: str, host: str, port: int) -> None:
    from gevent import monkey

    monkey.patch_all()
    from gevent.pywsgi import WSGIServer

    WSGIServer((host, port), wrapped(name), log=None, environ={"wsgi.multithread": True}).serve_forever()


def serve_eventlet(name: str, host: str, port: int) -> None:
    import eventlet

    eventlet.monkey_patch()
    from eventlet import wsgi

    wsgi.server(eventlet.listen((host, port)), wrapped(name), log_output=False)


def serve_apache(name: str, host: str, port: int) -> None:
    from support import apache

    apache.serve_apache(name, host, port, options())


def serve_express(name: str, host: str, port: int) -> None:
    from support import apache

    apache.serve_mod_wsgi_express(name, host, port, options())


def serve_uwsgi(name: str, host: str, port: int) -> None:
    # It is a program of its own, with Python inside, and imports :func:`for_uwsgi` from this module.
    arguments = {"http-socket": f"{host}:{port}", "module": "support.serve:for_uwsgi()", "need-app": "", "master": ""}
    arguments |= {"die-on-term": "", "disable-logging": "", "pythonpath": str(TESTS)} | options()
    command = [str(Path(sys.executable).with_name("uwsgi"))]
    for option, value in arguments.items():
        command += [f"--{option}", value] if value else [f"--{option}"]
    os.execve(command[0], command, {**os.environ, "STAGEDOOR_TESTS_APP": name})


def for_uwsgi() -> Any:
    import uwsgi

    configure_logging()
    uwsgi.post_fork_hook = start_background
    return wrapped(os.environ["STAGEDOOR_TESTS_APP"])


def for_granian() -> Any:
    configure_logging()
    start_background()
    return wrapped(os.environ["STAGEDOOR_TESTS_APP"])


def configure_logging() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def main() -> None:
    server, host, port, name = sys.argv[1:5]
    configure_logging()
    if "STAGEDOOR_TESTS_EXECUTABLE" in os.environ:
        sys.executable = os.environ["STAGEDOOR_TESTS_EXECUTABLE"]
    if f"serve_{server}" in globals():
        globals()[f"serve_{server}"](name, host, int(port))
        return
    from support import foreign_servers

    os.environ["STAGEDOOR_TESTS_APP"] = name
    getattr(foreign_servers, f"serve_{server}")(wrapped(name), host, int(port), options())


if __name__ == "__main__":
    main()
