"""What requests of several developers run at the same time. A line at which tests stop ends in ``# stop: NAME``."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any


def line_of(name: str) -> int:
    """The number of the line that ends in ``# stop: name``."""
    lines = Path(__file__).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.rstrip().endswith(f"# stop: {name}"))


evaluated: list[Any] = []


def note(what: Any) -> Any:
    """Conditions call it, so that a test sees which of them ran, and where."""
    evaluated.append((threading.current_thread().name, what))
    return what


def visit(number: int) -> int:
    total = number * 2  # stop: visit

    total += 1  # stop: after
    return total


def visit_often(numbers: range) -> int:
    return sum(visit(number) for number in numbers)


def loop(upto: int, passed: list[int]) -> None:
    """One call that comes to the line again and again."""
    for number in range(upto):
        passed.append(number)  # stop: loop


def named(number: int) -> int:
    doubled = number * 2
    return doubled + 0


def other(number: int) -> int:
    return number  # stop: other


def fail_and_handle() -> str:
    try:
        raise KeyError("handled")  # stop: raised
    except KeyError:
        return "handled"


def fail() -> None:
    raise LookupError("nobody handles it")  # stop: fails


def sleep(seconds: float) -> str:
    slept = "slept"
    time.sleep(seconds)
    slept += " well"
    return slept


def spin(release: threading.Event) -> int:
    turns = 0
    while not release.is_set():
        turns += 1
    return turns


def slow(release: threading.Event) -> str:
    release.wait(10)  # stop: slow
    return "released"


def printing(release: threading.Event) -> int:
    lines = 0
    while not release.is_set():
        print(f"visitor {lines}")
        lines += 1
        time.sleep(0.001)
    return lines


class Box:
    """Something of which a developer asks for what takes long."""

    def __init__(self) -> None:
        self.entered, self.release = threading.Event(), threading.Event()

    def slow(self, text: str) -> str:
        """Print, wait for the release, and print again."""
        print(f"{text} begins")
        self.entered.set()
        self.release.wait(10)
        print(f"{text} ends", file=sys.stderr)
        return text


def with_box(box: Box) -> str:
    box_here = box  # stop: box
    return type(box_here).__name__


def render_jinja(folder: str, items: list[int]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=True)
    return str(environment.get_template("page.html").render(items=items))


def render_django(folder: str, items: list[int]) -> str:
    from django.conf import settings

    if not settings.configured:
        settings.configure(USE_I18N=False)
    from django.template import Context, Engine

    return str(Engine(dirs=[folder], debug=True).get_template("page.html").render(Context({"items": items})))


def render_undefined(folder: str) -> str:
    from jinja2 import UndefinedError

    before = "before"  # stop: undefined
    try:
        before = render_jinja(folder, [])
    except UndefinedError:
        before = "undefined"
    return before
