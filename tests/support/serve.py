"""Serve an application under a named server: ``python serve.py SERVER HOST PORT APPLICATION``.

``APPLICATION`` is ``module:attribute``. With ``STAGEDOOR_TESTS_BARE=1`` it is served without Stagedoor.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


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


def serve_werkzeug(application: Any, host: str, port: int) -> None:
    from werkzeug.serving import make_server

    make_server(host, port, application, threaded=True).serve_forever()


def serve_waitress(application: Any, host: str, port: int) -> None:
    from waitress import serve

    serve(application, host=host, port=port, threads=8, clear_untrusted_proxy_headers=False)


def serve_gunicorn(application: Any, host: str, port: int) -> None:
    from gunicorn.app.base import BaseApplication

    options = dict(pair.split("=", 1) for pair in os.environ.get("STAGEDOOR_TESTS_GUNICORN", "").split() if pair)

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            defaults = {"bind": bind, "worker_class": "gthread", "workers": "1", "threads": "8", "loglevel": "warning"}
            for name, value in (defaults | options).items():
                self.cfg.set(name, value)
            self.cfg.set("post_worker_init", lambda worker: start_background())

        def load(self) -> Any:
            return application

    Application().run()


def main() -> None:
    server, host, port, name = sys.argv[1:5]
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(name)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = wrapped(name)
    if server != "gunicorn":
        start_background()
    {"werkzeug": serve_werkzeug, "waitress": serve_waitress, "gunicorn": serve_gunicorn}[server](
        application, host, int(port)
    )


if __name__ == "__main__":
    main()
