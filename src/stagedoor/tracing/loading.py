"""Loading debugpy without what its import leaves behind, and saying what was in its way."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any, NamedTuple

from stagedoor import forking
from stagedoor.errors import DebuggerError

from .releases import REMEDY, is_to_be_proved


class Release(NamedTuple):
    """The debugpy that is installed.

    :param version: its number.
    :param file: its ``__init__.py``.
    :param is_to_be_proved: the self-test decides whether it is trusted, and has not yet done so in this process.
    """

    version: str
    file: str
    is_to_be_proved: bool


def installed_release() -> Release:
    """The release of debugpy that this process would load. Loads no debugger.

    :raises DebuggerError: if there is none, or it is older than those that are known.
    """
    debugpy = load_debugpy()
    return Release(debugpy.__version__, debugpy.__file__, is_to_be_proved(debugpy.__version__))


def load_debugpy() -> Any:
    """debugpy's public part, which loads no debugger.

    :raises DebuggerError: what is in its place, or why it can't be loaded.
    """
    try:
        with _eagerly():
            debugpy = importlib.import_module("debugpy")
            is_itself = isinstance(debugpy.__version__, str) and importlib.util.find_spec("debugpy.server") is not None
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "debugpy":
            raise DebuggerError(f"debugpy is not installed in {sys.prefix}.", REMEDY) from error
        if (place := _impostor()) is None:
            raise _not_loaded("debugpy", error) from error
    else:
        place = None if is_itself else _impostor() or repr(debugpy)
    if place is not None:
        raise DebuggerError(f"{place} is not debugpy, and Python finds it in its place.", "Rename it.")
    return debugpy


def load_pydevd(version: str, name: str) -> Any:
    """The module ``name`` of debugpy's, and with it pydevd.

    :param version: debugpy's.
    :raises DebuggerError: what was in its way.
    """
    try:
        with _eagerly(), _without_traces():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise _not_loaded(f"debugpy {version}", error) from error


@contextmanager
def _without_traces() -> Iterator[None]:
    """Without pydevd's warning about frozen modules, which goes to stderr (debugpy issue 1251), and without what it
    leaves behind: in the environment for the application's children, in ``builtins``, and as the ``breakpoint()`` of
    everybody.
    """
    before = dict(os.environ)
    breakpointhook, known = sys.breakpointhook, set(vars(builtins))

    def take_away() -> None:
        for variable in [each for each in os.environ if each.startswith("PYDEVD_")]:
            if variable in before:
                os.environ[variable] = before[variable]
            else:
                del os.environ[variable]
        sys.breakpointhook = breakpointhook
        for added in ("execfile", "runfile"):
            if added not in known and hasattr(builtins, added):
                delattr(builtins, added)

    with _undone(take_away):
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        yield


@contextmanager
def _eagerly() -> Iterator[None]:
    """With imports that import (PEP 810, Python 3.15): debugpy finds pydevd only while its folder is on ``sys.path``, and
    ``PYTHON_LAZY_IMPORTS=all`` puts the import off until it isn't.
    """
    mode = _lazy_imports()
    if mode != "all":
        yield
        return
    with _undone(lambda: _set_lazy_imports(mode)):
        _set_lazy_imports("normal")
        yield


class _Undo:
    def __init__(self, step: Callable[[], None]) -> None:
        self.forget_in_child = step
        forking.register(self)


@contextmanager
def _undone(step: Callable[[], None]) -> Iterator[None]:
    """``step`` is taken at the end, and in a child that is forked before, where nobody else takes it."""
    undo = _Undo(step)
    try:
        yield
    finally:
        undo.forget_in_child()


def _set_lazy_imports(mode: str) -> None:
    with suppress(Exception):  # Else the import fails, and the sentence names the mode.
        sys.set_lazy_imports(mode)  # type: ignore[attr-defined]


def _lazy_imports() -> str:
    """``normal``, ``all`` or ``none``; ``normal`` also where Python knows nothing of it."""
    with suppress(Exception):
        return str(sys.get_lazy_imports())  # type: ignore[attr-defined]
    return "normal"


# -- What was in the way -----------------------------------------------------------------------------------------------


def _impostor() -> str | None:
    """The file or folder that Python finds as ``debugpy``, if it has nothing of the real one's."""
    with suppress(Exception):
        spec = importlib.util.find_spec("debugpy")
        if spec is not None:
            folders = list(spec.submodule_search_locations or ())
            if not any(os.path.exists(os.path.join(folder, "server", "api.py")) for folder in folders):
                return spec.origin or (folders[0] if folders else None)
    return None


def _not_loaded(what: str, error: BaseException) -> DebuggerError:
    chain = list(_chain(error))
    # The last one is where the trouble began. Some of pydevd's own are a paragraph.
    first_line = str(chain[-1]).strip().partition("\n")[0][:200]
    reason = f"{type(chain[-1]).__name__}: {first_line}"
    shadows = sorted({found for each in chain for found in _shadows(each)})
    if shadows:
        named = " and ".join(f"{name}, in whose place {file} stands" for name, file in shadows)
        return DebuggerError(
            f"{what} can't be loaded ({reason}). It imports Python's own module {named}.",
            "Rename it, or take its folder out of sys.path.",
        )
    if _lazy_imports() == "all":
        return DebuggerError(
            f"{what} can't be loaded while Python imports lazily everywhere ({reason}).",
            "Start the application without PYTHON_LAZY_IMPORTS=all and without -X lazy_imports=all.",
        )
    return DebuggerError(
        f"{what} can't be loaded ({reason}).",
        'To see the whole error, run python -c "import debugpy.server.api" in the application\'s environment and folder.',
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    each: BaseException | None = error
    while each is not None and not any(each is one for one in seen):
        seen.append(each)
        yield each
        each = each.__cause__ or each.__context__


def _shadows(error: BaseException) -> Iterator[tuple[str, str]]:
    """What stands in the place of modules of Python's own and has to do with ``error``: their names and files.

    It does if the error is about such a module, or came up while one was imported, or in code that has imported one.
    """
    about: list[Any] = []
    if isinstance(error, ImportError) and error.name:
        about.append(sys.modules.get(error.name.partition(".")[0]))
    if isinstance(error, AttributeError):
        about.append(error.obj)
    modules = [each for each in about if isinstance(each, ModuleType)]
    names = [(each.__name__, _place(each)) for each in modules]
    if isinstance(error, SyntaxError) and error.filename:
        file = error.filename
        stem = os.path.splitext(os.path.basename(file))[0]
        names.append((stem if stem != "__init__" else os.path.basename(os.path.dirname(file)), file))
    traceback = error.__traceback__
    while traceback is not None:
        scope = traceback.tb_frame.f_globals
        names.append((str(scope.get("__name__")), str(scope.get("__file__"))))
        if "debugpy" in str(scope.get("__file__")):
            imported = [each for each in list(scope.values()) if isinstance(each, ModuleType)]
            names += [(each.__name__, _place(each)) for each in imported]
        traceback = traceback.tb_next
    for name, file in names:
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names and os.path.isabs(file) and not _is_pythons_own(file):
            yield top, file


def _place(module: ModuleType) -> str:
    return str(getattr(module, "__file__", None) or "")


def _is_pythons_own(file: str) -> bool:
    parts = os.path.normpath(file).split(os.sep)
    if "site-packages" in parts or "dist-packages" in parts:
        return False
    import sysconfig  # Here, because it is needed hardly ever.

    library, platform = sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")
    folders = [library, platform, os.path.dirname(os.__file__), library.replace(".", "") + ".zip"]
    real = os.path.realpath(file)
    return any(
        each.startswith(os.path.join(os.path.realpath(folder), "")) for folder in folders for each in (file, real)
    )
