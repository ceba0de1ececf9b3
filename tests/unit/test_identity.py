"""What one application is: for its workers, after a restart, after a release; and what are two."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stagedoor.application.identity import identify, stable

PLAIN = "def application(environ, start_response): ..."
FLASK = "from flask import Flask\ndef create_app():\n    return Flask('shop')\napplication = create_app().wsgi_app"
DJANGO = """
import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
settings.configure()
application = WSGIHandler()
"""
PARTIAL = (
    "import functools\ndef serve(site, environ, start_response): ...\napplication = functools.partial(serve, {!r})"
)
CLOSURES = """
def {0}():
    def application(environ, start_response): ...
    return application
application = {0}()
"""
MIDDLEWARE = """
def inner(environ, start_response): ...
class Layer:
    def __init__(self, app):
        self.app = app
    def __call__(self, environ, start_response): ...
application = {}
"""


@dataclass(frozen=True)
class Start:
    """One start of a server: where it is, what is in its wsgi.py, and how it is told to find it."""

    source: str = PLAIN
    place: str = "shop"
    #: Where ``wsgi.py`` is imported from, and the working directory: by default the place.
    path: str = ""
    directory: str = ""
    environ: dict[str, str] = field(default_factory=dict)


def key(root: Path, start: Start) -> str:
    folder = root / start.place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wsgi.py").write_text(
        f"{start.source}\nfrom stagedoor.application.identity import identify\nfound = identify(application)"
    )
    path = root / (start.path or start.place)
    code = f"import sys; sys.path.insert(0, {str(path)!r}); import wsgi; print(wsgi.found.key)"
    cwd = root / (start.directory or start.place)
    cwd.mkdir(parents=True, exist_ok=True)
    answer = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=cwd,
        env=os.environ | start.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


SAME = {
    "two workers, or a restart": (Start(), Start()),
    "a line above the application": (Start(), Start(f"import os\n{PLAIN}")),
    "other settings": (Start(), Start(environ={"STAGEDOOR_ALLOW": "10.0.0.0/8"})),
    "a factory of Flask's": (Start(FLASK), Start(FLASK)),
    "a middleware more": (Start(MIDDLEWARE.format("inner")), Start(MIDDLEWARE.format("Layer(inner)"))),
}
OTHER = {
    "another folder": (Start(), Start(place="blog")),
    "another folder of Flask's": (Start(FLASK), Start(FLASK, place="blog")),
    "the same code with another working directory": (Start(FLASK, directory="a"), Start(FLASK, directory="b")),
    "another name of Flask's": (Start(FLASK), Start(FLASK.replace("'shop'", "'shop.api'"))),
    "other settings of Django's": (
        Start(DJANGO, environ={"DJANGO_SETTINGS_MODULE": "shop.settings"}),
        Start(DJANGO, environ={"DJANGO_SETTINGS_MODULE": "blog.settings"}),
    ),
    "other arguments of a partial function": (Start(PARTIAL.format("shop")), Start(PARTIAL.format("blog"))),
    "another function that makes a function": (Start(CLOSURES.format("shop")), Start(CLOSURES.format("blog"))),
    "another function": (Start(), Start("def other(environ, start_response): ...\napplication = other")),
}


@pytest.mark.parametrize("starts", SAME.values(), ids=SAME.keys())
def test_one_application(tmp_path: Path, starts: tuple[Start, Start]) -> None:
    assert key(tmp_path, starts[0]) == key(tmp_path, starts[1])


@pytest.mark.parametrize("starts", OTHER.values(), ids=OTHER.keys())
def test_two_applications(tmp_path: Path, starts: tuple[Start, Start]) -> None:
    assert key(tmp_path, starts[0]) != key(tmp_path, starts[1])


@pytest.mark.parametrize("link", ["shop/current", "shop/releases/latest"])
@pytest.mark.parametrize(("by_link", "there"), [(True, True), (True, False), (False, True), (False, False)])
def test_a_release_is_the_same_application_as_the_one_before(
    tmp_path: Path, link: str, by_link: bool, there: bool
) -> None:
    """Whether the server was started through the link, as ``--chdir`` does, or not, as systemd's WorkingDirectory."""
    found = []
    for number in ("42", "43"):
        release = f"shop/releases/{number}"
        (tmp_path / release).mkdir(parents=True)
        (tmp_path / link).unlink(missing_ok=True)
        (tmp_path / link).symlink_to(tmp_path / release)
        start = Start(FLASK, release, path=link if by_link else release, directory=link if there else release)
        found.append(key(tmp_path, start))
    assert found[0] == found[1]
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "current").symlink_to(tmp_path / "shop" / "releases" / "42")
    assert key(tmp_path, Start(FLASK, "shop/releases/42")) != found[0], "a release that is no longer the current one"


def test_a_path_without_links_around_it_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    found = Path(stable(str(tmp_path / "shop" / "wsgi.py")))
    # Not compared as it is written: pytest keeps such a link to its own folder.
    assert (found.parent.name, found.name) == ("shop", "wsgi.py")
    assert found.parent.samefile(tmp_path / "shop")


def test_an_application_that_is_strange_to_look_at_is_one_all_the_same() -> None:
    class Strange:
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError(name)

    assert identify(Strange()).key == identify(Strange()).key


def test_its_name_says_what_it_is_and_where() -> None:
    def application(environ: object, start_response: object) -> None: ...

    name = identify(application).name
    assert "application, wrapped in " in name
    assert __file__ in name
    assert os.getcwd() in name
