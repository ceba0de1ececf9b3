"""Which application this is: decided from what is wrapped and where it was loaded from.

All workers of an application come to the same answer, and so do they after a restart and after a new release. Settings
that a restart may change, such as who is allowed, are not part of it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from .layers import layers

_OURS = f"{__name__.partition('.')[0]}."
#: No directory with more entries is looked through for the links of releases.
_MOST_ENTRIES = 2000


@dataclass(frozen=True, slots=True)
class Application:
    """One application, as several of the same user are told apart.

    :param key: the same for all processes of this application, and for those of no other.
    :param name: what a person knows it by, such as ``shop.wsgi.application in /srv/shop/current/shop/wsgi.py``.
    """

    key: str
    name: str


def identify(app: object) -> Application:
    """The application that is being wrapped by the code that calls Stagedoor. Never raises.

    :param app: what is wrapped. What is innermost in it counts, as far as that can be told: middleware comes and goes.
    """
    try:
        *around, inner = layers(app)
        # A partial says by its arguments which of several applications it makes of one function.
        given = [_description(each) for each in around if isinstance(each, functools.partial)]
        what, apart = " of ".join([*given[:1], _description(inner)]), [*given, *_told_apart_by(inner)]
    except Exception:  # An application may do anything when it is looked at.
        what, apart = f"{type(app).__module__}.{type(app).__qualname__}", []
    site = _wrapping_file()
    here = ""
    with suppress(OSError):  # A working directory that was removed.
        here = stable(os.getcwd())
    facts = [what, site, here, *apart]
    key = hashlib.sha256("\n".join(facts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Application(key, f"{what}, wrapped in {site} with the working directory {here or '(removed)'}")


def stable(path: str) -> str:
    """``path`` by the name that it keeps: ``/srv/shop/current/wsgi.py`` for ``/srv/shop/releases/42/wsgi.py``.

    A release is known by a link beside it, or beside its parent, that leads to it now. Both of these ways to write the
    path come to the same.
    """
    here = Path(os.path.realpath(path))
    for folder in (here, *here.parents):
        for beside in (folder.parent, folder.parent.parent):
            if names := sorted(_links_to(folder, beside), key=lambda name: (name != "current", name)):
                return str(beside / names[0] / here.relative_to(folder))
    return str(here)


def _links_to(folder: Path, beside: Path) -> Iterator[str]:
    with suppress(OSError), os.scandir(beside) as entries:
        wanted = folder.stat()
        for entry in islice(entries, _MOST_ENTRIES):
            with suppress(OSError):
                if entry.is_symlink() and os.path.samestat(entry.stat(), wanted):
                    yield entry.name


def _description(app: object) -> str:
    if isinstance(app, functools.partial):
        # Of its arguments only plain ones say the same in every process.
        given = [
            *app.args,
            *(f"{name}={value}" for name, value in app.keywords.items() if isinstance(value, str | int)),
        ]
        shown = ", ".join(str(each) for each in given if isinstance(each, str | int))
        return f"{_description(app.func)}({shown[:200]})"
    kind: Any = app if isinstance(getattr(app, "__qualname__", None), str) else type(app)
    name = f"{getattr(kind, '__module__', '?')}.{kind.__qualname__}"
    own = getattr(app, "import_name", None)  # Flask
    return f"{name} of {own}" if isinstance(own, str) else name


def _told_apart_by(app: object) -> Iterator[str]:
    """What tells two sites apart that run the same code."""
    code = getattr(app, "__code__", None)
    if code is not None:
        yield stable(code.co_filename)
    for name in ("root_path", "instance_path"):  # Flask
        value = getattr(app, name, None)
        if isinstance(value, str):
            yield stable(value)
    if type(app).__module__.startswith("django."):
        yield os.environ.get("DJANGO_SETTINGS_MODULE", "")


def _wrapping_file() -> str:
    """The file of the code, outside of Stagedoor, that is wrapping the application now."""
    frame = sys._getframe(1)
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith(_OURS):
        frame = frame.f_back
    name = frame.f_code.co_filename
    return stable(name) if os.path.exists(name) else name
