"""Servers that can't be asked how many threads they have, or only through the pool in which they call the application."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def serve_cheroot(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from cheroot.wsgi import Server

    Server((host, port), app, numthreads=int(options.get("threads", 10))).start()


def serve_granian(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    # Its workers are processes of their own, which load the application by name.
    Granian(
        "support.serve:for_granian", factory=True, interface=Interfaces.WSGI, address=host, port=port,
        workers=int(options.get("workers", 1)), blocking_threads=int(options.get("threads", 1)),
    ).serve()  # fmt: skip


def serve_a2wsgi(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from a2wsgi import WSGIMiddleware

    _uvicorn(WSGIMiddleware(app, workers=int(options.get("workers", 10))), host, port)


def serve_asgiref(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from asgiref.wsgi import WsgiToAsgi

    _uvicorn(WsgiToAsgi(app), host, port)


def serve_uvicorn(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    _uvicorn(app, host, port, interface="wsgi")


def _uvicorn(app: Any, host: str, port: int, **settings: Any) -> None:
    import uvicorn

    uvicorn.run(app, host=host, port=port, log_config=None, lifespan="off", **settings)


def serve_hypercorn(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    async def run() -> None:
        if "threads" in options:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(int(options["threads"])))
        await serve(app, Config.from_mapping(bind=[f"{host}:{port}"], errorlog=None), mode="wsgi")

    asyncio.run(run())


def serve_twisted(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from twisted.internet import reactor
    from twisted.python.threadpool import ThreadPool
    from twisted.web.server import Site
    from twisted.web.wsgi import WSGIResource

    the_reactor: Any = reactor
    pool = ThreadPool(1, int(options.get("threads", 20)))
    pool.start()
    the_reactor.listenTCP(port, Site(WSGIResource(reactor, pool, app)), interface=host)
    the_reactor.run()


def serve_tornado(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from tornado.httpserver import HTTPServer
    from tornado.wsgi import WSGIContainer

    async def run() -> None:
        executor = ThreadPoolExecutor(int(options["threads"])) if "threads" in options else None
        HTTPServer(WSGIContainer(app, executor=executor)).listen(port, host)
        await asyncio.Event().wait()

    asyncio.run(run())


def serve_bjoern(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    import bjoern

    bjoern.run(app, host, port)


def serve_gevent_unpatched(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    from gevent.pywsgi import WSGIServer

    WSGIServer((host, port), app, log=None).serve_forever()


def serve_eventlet_unpatched(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    import eventlet
    from eventlet import wsgi

    wsgi.server(eventlet.listen((host, port)), app, log_output=False)


def serve_django(app: Any, host: str, port: int, options: dict[str, str]) -> None:
    """As ``runserver`` does, with ``nothreading`` or without."""
    from django.conf import settings
    from django.core.servers.basehttp import WSGIRequestHandler, run

    class Quiet(WSGIRequestHandler):  # type: ignore[misc]
        def log_message(self, *arguments: Any) -> None:
            pass

    os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    settings.configure()
    run(host, port, app, threading="nothreading" not in options)
