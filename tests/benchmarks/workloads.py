"""The application that is measured: a page, a loop and a greeting, each with a line for a breakpoint in its own view."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import jinja2

from support import application as tested
from support.addresses import ALLOWED, OTHER

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

LINES = 60
TURNS = 20_000
ORDER = json.dumps(
    [{"name": f"article {number}", "cents": 95 + number, "count": 1 + number % 5} for number in range(LINES)]
)
TEMPLATE = jinja2.Environment(autoescape=True).from_string(
    """<!doctype html><title>{{ title }}</title><table>
{% for row in rows %}<tr><td>{{ row.name }}<td>{{ row.count }}<td>{{ row.net }}<td>{{ row.gross }}
{% endfor %}</table><p>{{ total }}</p><script>const order = {{ order|tojson }}</script>"""
)


def page(environ: Environ) -> str:
    """A template, JSON in and out, and about 2,000 Python calls."""
    order = json.loads(ORDER)  # stop: page
    rows = [row(line) for line in order]
    total = price(sum(gross(line) for line in order))
    return TEMPLATE.render(title=environ["PATH_INFO"], rows=rows, total=total, order=order)


def row(line: dict[str, Any]) -> dict[str, Any]:
    return {"name": line["name"], "count": line["count"], "net": price(net(line)), "gross": price(gross(line))}


def net(line: dict[str, Any]) -> int:
    return int(line["cents"]) * int(line["count"])


def gross(line: dict[str, Any]) -> int:
    return net(line) + tax(net(line))


def tax(cents: int) -> int:
    return (cents * 19 + 50) // 100


def price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"


def hot(environ: Environ) -> str:
    """A loop in the very function that holds the breakpoint."""
    total = 0  # stop: hot
    for number in range(TURNS):
        total += number & 3
    return str(total)


def hello(environ: Environ) -> str:
    return "hello, world"  # stop: hello


#: What is measured. The other views are what the servers of ``tests/support`` ask an application for.
MEASURED = {"/page": page, "/hot": hot, "/hello": hello}
LABELS = {"/page": "page", "/hot": "hot loop", "/hello": "hello"}
VIEWS: dict[str, Callable[[Environ], str]] = tested.VIEWS | MEASURED


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = VIEWS[environ["PATH_INFO"]](environ).encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]


def add_many_steps(folder: Path, number: int) -> dict[str, list[dict[str, Any]]]:
    """A view ``/steps`` of 2,000 calls of so many functions, from a file of its own; returns a breakpoint in each
    function, whose conditions are false.
    """
    functions = [f"def step_{index}():\n    return {index}\n" for index in range(number)]
    names = ", ".join(f"step_{index}" for index in range(number))
    view = f"STEPS = [{names}] * {2000 // number}\ndef steps(environ):\n    return str(sum(step() for step in STEPS))\n"
    path = folder / "steps.py"
    path.write_text("".join(functions) + view)
    namespace: dict[str, Any] = {"__name__": "steps"}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    VIEWS["/steps"] = namespace["steps"]
    return {str(path): [{"line": 2 * index + 2, "condition": "False"} for index in range(number)]}


def stop_line(view: str) -> int:
    """The number of the line of ``view`` (such as ``"/page"``) that gets the breakpoint."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# stop: {view.lstrip('/')}"))


def breakpoints(condition: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """One in each view, as a DAP client sets them."""
    found = [{"line": stop_line(view)} | ({"condition": condition} if condition else {}) for view in MEASURED]
    return {__file__: found}


def make_environ(view: str, *, matching: bool = False) -> Environ:
    environ: Environ = {"PATH_INFO": view, "HTTP_USER_AGENT": "Mozilla/5.0", "HTTP_COOKIE": "session=abc"}
    setup_testing_defaults(environ)
    environ["REMOTE_ADDR"] = ALLOWED if matching else OTHER
    environ["wsgi.multithread"] = True
    return environ


def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
    pass


def serve(app: Application, environ: Environ) -> bytes:
    """Do with one request what a server does."""
    body = app(environ, start_response)
    try:
        return b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
