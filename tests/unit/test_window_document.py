"""A window as JSON: what is written is read back, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stagedoor.window.document import dump_window, load_window, shown
from stagedoor.window.window import format_time
from support.scripted import some_window

WINDOW = some_window()


def test_what_is_written_is_read_back() -> None:
    assert load_window(json.loads(json.dumps(dump_window(WINDOW)))) == WINDOW


def test_people_are_shown_all_of_it_but_the_token() -> None:
    assert shown(WINDOW) == {
        "opened_at": format_time(WINDOW.opened_at),
        "expires_at": format_time(WINDOW.expires_at),
        "opened_by": WINDOW.opened_by,
    }


NONE: dict[str, tuple[Any, str]] = {
    "a number": (1, "does not hold an object"),
    "a list": ([], "does not hold an object"),
    "nothing": ({}, "does not hold an object with exactly the keys expires_at, opened_at, opened_by, token"),
    "a key more": (dump_window(WINDOW) | {"version": 1}, "does not hold an object"),
    "a time that is none": (dump_window(WINDOW) | {"opened_at": 1}, "holds an opened_at that is not a text"),
    "a time without a zone": (
        dump_window(WINDOW) | {"expires_at": "2026-11-22T18:00:00"}, "holds an expires_at that is no time with a zone",
    ),
    "an end before the beginning": (
        dump_window(WINDOW) | {"expires_at": "2020-11-22T18:00:00Z"}, "holds a window that ends before it begins",
    ),
    "a name with a line end": (dump_window(WINDOW) | {"opened_by": "a\nb"}, "holds an opened_by that is not"),
    "a token that is none": (dump_window(WINDOW) | {"token": "short"}, "holds a token that is not"),
    "a token that is a list": (dump_window(WINDOW) | {"token": []}, "holds a token that is not"),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "problem"), NONE.values(), ids=NONE.keys())
def test_what_is_no_window_is_said(fields: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        load_window(fields)
    assert WINDOW.token not in str(caught.value)
