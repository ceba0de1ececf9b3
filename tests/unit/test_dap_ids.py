"""The numbers of a session: what they mean, that they mean it in that session only, and what is forgotten when."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.dap import ids
from stagedoor.dap.ids import OWN, IdTable, Inner, Kind, NoMoreNumbers

KINDS: tuple[Kind, ...] = get_args(Kind)
workers = st.sampled_from(["w1", "w2", OWN])
kinds = st.sampled_from(KINDS)
requests = st.none() | st.integers(1, 3)
things = st.tuples(workers, kinds, st.integers(0, 4), requests)


def given_all(table: IdTable, asked: list[tuple[str, Kind, int, int | None]]) -> dict[int, Inner]:
    return {table.given(*thing): Inner(*thing) for thing in asked}


@given(st.lists(things), st.lists(things))
def test_a_number_of_one_session_never_means_anything_of_another(
    mine: list[tuple[str, Kind, int, int | None]], others: list[tuple[str, Kind, int, int | None]]
) -> None:
    one, other = IdTable(), IdTable()
    given_all(one, mine)
    numbers = given_all(other, others)
    for number in range(-1, len(mine) + len(others) + 2):
        for kind in KINDS:
            meaning = one.meant(kind, number)
            # What it means is something that this session was given, and was given for this number.
            assert meaning is None or one.known(meaning.worker, kind, meaning.id, meaning.request) == number
            assert meaning is None or any(meaning.worker == worker for worker, *_ in mine)
            if number not in numbers:
                assert other.meant(kind, number) is None


@given(st.lists(things))
def test_there_and_back(asked: list[tuple[str, Kind, int, int | None]]) -> None:
    table = IdTable()
    for number, inner in given_all(table, asked).items():
        meant = table.meant(inner.kind, number)
        assert meant == inner
        assert [kind for kind in KINDS if table.meant(kind, number)] == [inner.kind]
    numbers = [table.given(*thing) for thing in asked]
    assert [table.given(*thing) for thing in asked] == numbers
    assert sorted(set(numbers)) == list(range(1, len(table) + 1))


@given(
    st.lists(
        st.tuples(st.just("given"), things)
        | st.tuples(st.sampled_from(["request", "thread", "worker"]), st.tuples(workers, st.integers(1, 3)))
        | st.tuples(st.just("one"), st.tuples(kinds, st.integers(0, 9))),
        max_size=60,
    )
)
def test_no_number_is_given_twice_and_what_is_forgotten_means_nothing(steps: list[tuple[str, tuple]]) -> None:
    table, alive = IdTable(), dict[int, Inner]()
    highest = 0
    for step, what in steps:
        if step == "given":
            number = table.given(*what)
            assert number in alive or number == highest + 1
            highest = max(highest, number)
            alive[number] = Inner(*what)
        elif step == "request":
            table.forget_request(*what)
            gone = {"frame", "variables", "goto", "step_in"}
            alive = {n: i for n, i in alive.items() if (i.worker, i.request) != what or i.kind not in gone}
        elif step == "thread":
            table.forget_thread(*what)
            alive = {n: i for n, i in alive.items() if (i.worker, i.request) != what}
        elif step == "worker":
            table.forget_worker(what[0])
            alive = {n: i for n, i in alive.items() if i.worker != what[0]}
        else:
            table.forget(*what)
            alive = {n: i for n, i in alive.items() if (i.kind, n) != what}
    assert {n: i for n in range(highest + 2) for kind in KINDS if (i := table.meant(kind, n))} == alive
    assert len(table) == len(alive)
    for worker in ("w1", "w2", OWN):
        table.forget_worker(worker)
    assert not table._numbers
    assert not table._of_request


def test_a_thread_is_a_request_whatever_thread_serves_it() -> None:
    table = IdTable()
    number = table.given("w1", "thread", None, request=12)
    assert table.meant("thread", number) == Inner("w1", "thread", None, 12)
    assert table.given("w1", "thread", 5, request=12) == number
    assert table.given("w1", "thread", None, request=12) == number
    assert table.meant("thread", number) == Inner("w1", "thread", 5, 12)
    # The same thread of the server's pool serves the next one.
    later = table.given("w1", "thread", 5, request=13)
    assert later != number
    table.forget_thread("w1", 12)
    assert table.meant("thread", number) is None
    assert table.meant("thread", later) == Inner("w1", "thread", 5, 13)


def test_each_thread_has_its_own_first_step_in_target() -> None:
    table = IdTable()
    first, second = table.given("w1", "step_in", 0, request=12), table.given("w1", "step_in", 0, request=13)
    assert first != second
    table.forget_request("w1", 12)
    assert table.meant("step_in", first) is None
    assert table.meant("step_in", second) == Inner("w1", "step_in", 0, 13)


@pytest.mark.parametrize("outer", [None, "1", True, 1.0, "*", [1], 10**30, -1, 0])
def test_what_is_no_number_means_nothing(outer: object) -> None:
    table = IdTable()
    table.given("w1", "thread", 5)
    assert table.meant("thread", outer) is None


def test_numbers_stay_below_two_to_the_31(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids, "_HIGHEST", 2)
    table = IdTable()
    assert [table.given("w1", "frame", each) for each in (7, 8, 7)] == [1, 2, 1]
    with pytest.raises(NoMoreNumbers, match="Attach again"):
        table.given("w1", "frame", 9)


def test_a_breakpoint_of_the_sessions_is_one_in_each_worker() -> None:
    table = IdTable()
    number, other = table.given(OWN, "breakpoint", "7"), table.given(OWN, "breakpoint", "8")
    table.also(number, "w1", 0)
    table.also(number, "w2", 3)
    table.also(other, "w2", 0)
    assert [table.known("w1", "breakpoint", 0), table.known("w2", "breakpoint", 3)] == [number, number]
    assert table.known("w2", "breakpoint", 0) == other
    # A worker that was started again counts from 0 again.
    table.also(other, "w1", 0)
    table.also(number, "w1", 1)
    assert [table.known("w1", "breakpoint", each) for each in (0, 1)] == [other, number]
    table.also(number, "w1", 0)
    # It was set anew there.
    table.also(number, "w2", 4)
    assert [table.known("w2", "breakpoint", each) for each in (3, 4)] == [None, number]
    table.forget_worker("w2")
    assert [table.known("w2", "breakpoint", each) for each in (0, 4)] == [None, None]
    assert table.known("w1", "breakpoint", 0) == number
    # It was removed.
    table.forget("breakpoint", number)
    table.also(number, "w1", 5)
    assert [table.known("w1", "breakpoint", each) for each in (0, 5)] == [None, None]
    assert table.meant("breakpoint", other) == Inner(OWN, "breakpoint", "8")


def test_only_a_number_of_the_sessions_own_stands_for_more() -> None:
    table = IdTable()
    number = table.given("w1", "frame", 5, request=12)
    table.also(number, "w2", 6)
    assert table.known("w2", "frame", 6) is None
    assert len(table) == 1
