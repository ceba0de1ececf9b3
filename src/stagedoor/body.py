"""A response body whose application runs inside somebody's call, and which a server can't tell from the bare one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Run = Callable[..., Any]


def wrapped_body(body: Iterable[bytes], run: Run, end: Callable[[], None]) -> Iterable[bytes]:
    """``body`` with every part of it that is the application's called through ``run``.

    PEP 3333 lets a server call :func:`iter` (more than once, if it is no iterator), :func:`next` where it is one,
    :func:`len` where it has one, and ``close()``, whether it has read all of it or not.

    :param body: what the application has returned.
    :param run: called with a function and its arguments; returns what that returns, and raises what that raises.
    :param end: called when the server has closed the body.
    """
    kind = type(body)
    wrapper = _WRAPPERS[hasattr(kind, "__next__"), hasattr(kind, "__len__")]
    return wrapper(body, run, end)


class _Bare:
    """Has what the application's own object has beside: Django's responses have a ``status_code``, generators ``close()``."""

    def __init__(self, bare: Any, run: Run) -> None:
        self._bare = bare
        self._run = run

    def __getattr__(self, name: str) -> Any:
        # Python looks up its own names on types; what is none of a body's must not become one here.
        if name.startswith("__") or name == "_bare":
            raise AttributeError(name)
        return getattr(self._bare, name)

    def __bool__(self) -> bool:
        return self._run(bool, self._bare)  # type: ignore[no-any-return]

    def __bytes__(self) -> bytes:
        # Without a __bytes__ of its own, this is the same error as for the bare one.
        return self._run(bytes, self._bare)  # type: ignore[no-any-return]


class _Blocks(_Bare):
    """An iterator over the blocks of a body."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._run(next, self._bare)  # type: ignore[no-any-return]


class _Body(_Bare):
    def __init__(self, body: Any, run: Run, end: Callable[[], None]) -> None:
        super().__init__(body, run)
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        # What iter() returns is a fresh start for a list, and the same again for a generator: the body's own affair.
        blocks = self._run(iter, self._bare)
        return self if blocks is self._bare else _Blocks(blocks, self._run)

    def close(self) -> None:
        try:
            close = getattr(self._bare, "close", None)
            if close is not None:
                self._run(close)
        finally:
            self._end()


class _Iterator(_Body):
    def __next__(self) -> bytes:
        return self._run(next, self._bare)  # type: ignore[no-any-return]


class _Sized(_Body):
    def __len__(self) -> int:
        return self._run(len, self._bare)  # type: ignore[no-any-return]


class _SizedIterator(_Iterator, _Sized):
    pass


#: By whether the body is an iterator, and whether it has a length.
_WRAPPERS: dict[tuple[bool, bool], type[_Body]] = {
    (False, False): _Body,
    (True, False): _Iterator,
    (False, True): _Sized,
    (True, True): _SizedIterator,
}
