"""What a WSGI application is made of: the layers that wrap one another, as far as that can be told without calling it.

Only what an object holds is looked at, and no property is run: an application may do anything when it is asked.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from types import FunctionType, MemberDescriptorType, MethodType
from typing import Any

#: The last word of the attributes under which middleware keeps what it wraps: ``app``, ``_app``, ``self.__app``,
#: ``wsgi_app``, ``inner_application``, ``wsgi``, ``wrapped`` ...
_INNER_WORDS = frozenset(("app", "application", "wsgi", "wrapped", "inner"))
#: The same of middleware that holds several, one for each path or one after the other.
_SEVERAL = frozenset(("mounts", "apps", "applications"))
#: No application has more layers, and no layer that one looks into leads to more.
_MOST = 60


def layers(app: object) -> Iterator[object]:
    """``app`` and what it wraps, from the outside in, as far as that can be told; each once."""
    seen: set[int] = set()
    waiting = deque([app])
    while waiting and len(seen) < _MOST:
        layer = waiting.popleft()
        if id(layer) not in seen:
            seen.add(id(layer))
            owner = _owner(layer)
            if owner is layer or id(owner) not in seen:
                seen.add(id(owner))
                yield owner
            waiting.extendleft(reversed(_wrapped_by(layer)))


def ends(app: object) -> list[object]:
    """The layers of ``app`` from which none could be told that is below: the innermost, or one that hides what it wraps."""
    return [layer for layer in layers(app) if not _wrapped_by(layer)]


def _owner(layer: object) -> object:
    return layer.__self__ if isinstance(layer, MethodType) else layer


def _wrapped_by(layer: object) -> list[object]:
    """What ``layer`` wraps, as far as it shows."""
    method, layer = (layer.__func__.__name__, layer.__self__) if isinstance(layer, MethodType) else ("", layer)
    # Flask's own wsgi_app leads to the Flask object, whose attribute of that name is the outermost layer.
    if isinstance(layer, functools.partial):
        held = [layer.func, *layer.args, *layer.keywords.values()]
    elif isinstance(layer, FunctionType):
        held = [_unwrapped(layer), *_closure(layer)]
    else:
        held = [value for name, value in _attributes(layer) if name != method and _is_inner(name)]
        held.append(_unwrapped(layer))
        for name, value in _attributes(layer):
            if name.strip("_") in _SEVERAL and isinstance(value, dict | list | tuple):
                held += value.values() if isinstance(value, dict) else value
    return [each for each in held if callable(each) and not isinstance(each, type) and each is not layer]


def _is_inner(name: str) -> bool:
    return name.rpartition("_")[2] in _INNER_WORDS


def _attributes(layer: object) -> list[tuple[str, Any]]:
    """What an object holds, in its dictionary and in its slots."""
    found = list(getattr(layer, "__dict__", {}).items())
    for kind in type(layer).__mro__:
        for name, member in vars(kind).items():
            if isinstance(member, MemberDescriptorType) and _is_inner(name):
                try:
                    found.append((name, member.__get__(layer)))
                except AttributeError:  # a slot that is empty
                    continue
    return found


def _unwrapped(layer: object) -> object:
    return getattr(layer, "__dict__", {}).get("__wrapped__")


def _closure(function: FunctionType) -> list[object]:
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # a variable that has no value yet
            continue
    return found
