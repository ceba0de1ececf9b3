"""Several developers at once in one application: each stops in their own requests only, and nobody else notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from conftest import ServeGated
from stagedoor.access.passes import Passes, make_passes
from stagedoor.dap.client import RequestFailed, WaitFailed
from stagedoor.dap.ide import Ide, Stop
from support import orders_site
from support.gatekeepers import GatedServer
from support.orders_site import answer_to, line_of
from support.servers import ALLOWED, OTHER, Answer, Pending, is_listening
from support.soak import soak
from support.waiting import wait_for

FILE = orders_site.__file__
ANNAS, BENS = "127.0.0.7", "127.0.0.8"


class Team:
    """Developers with passes, in front of one server.

    :param joined: whether all workers are to be there from the beginning.
    """

    def __init__(self, server: GatedServer, *, joined: bool = True) -> None:
        self.server = server
        server.open()
        if joined:
            server.joined()
        else:
            server.get("/pid", ALLOWED)
            wait_for(lambda: is_listening(server.debug_port), "the gatekeeper to listen")

    def passes(self, name: str) -> Passes:
        return make_passes(name, str(self.server.token()))

    def ide(self, name: str, *lines: str | dict[str, Any], **keywords: Any) -> Ide:
        """An IDE of this developer's; a line is named, or ``{"line": name, ...}``."""
        wanted = [{"line": each} if isinstance(each, str) else each for each in lines]
        breakpoints = {FILE: [each | {"line": line_of(each["line"])} for each in wanted]} if wanted else {}
        return self.server.ide(breakpoints=breakpoints or {FILE: []}, token=self.passes(name).attach, **keywords)

    def start(self, name: str, number: int, path: str = "/order", source: str = ALLOWED) -> Pending:
        """A request of this developer's."""
        headers = {"X-Stagedoor-Token": self.passes(name).request}
        return self.server.start_get(f"{path}?who={name}&number={number}", source, headers)

    def get(self, name: str, number: int, path: str = "/order") -> Answer:
        return self.start(name, number, path).answer(20)

    def visit(self, number: int = 1, path: str = "/order") -> Answer:
        answer = self.server.get(f"{path}?who=visitor&number={number}", OTHER)
        assert answer.body == answer_to("visitor", number)
        assert "Stagedoor" not in answer.headers
        return answer


MakeTeam = Callable[..., Team]


@pytest.fixture
def team(serve_gated: ServeGated, tmp_path: Path) -> MakeTeam:
    def make(options: str = "workers=1 threads=8", *, joined: bool = True, **keywords: Any) -> Team:
        keywords.setdefault("ORDERS_MISPLACED", str(tmp_path / "misplaced"))
        server = serve_gated("gunicorn", options, app="support.orders_site:application", **keywords)
        return Team(server, joined=joined)

    return make


def who(stop: Stop) -> str:
    return stop.locals()["who"].strip("'")


def run_through(ide: Ide, pending: Sequence[Pending]) -> list[str]:
    """Continue every stop until these requests are answered; returns whose requests have stopped."""
    stops = []
    deadline = time.monotonic() + 30
    while not all(each.done for each in pending):
        assert time.monotonic() < deadline, "the requests have not been answered"
        try:
            stop = ide.stopped(0.2)
        except WaitFailed:
            continue
        stops.append(who(stop))
        stop.resume()
    return stops


def nothing_more(ide: Ide) -> None:
    with pytest.raises(WaitFailed):
        ide.stopped(0.3)


def printed(ide: Ide) -> list[str]:
    return "".join(
        event["body"]["output"]
        for event in ide.session.events
        if event["event"] == "output" and event["body"].get("category") in ("stdout", "stderr")
    ).splitlines()


@pytest.mark.parametrize("options", ["workers=4 threads=8", "workers=1 threads=8"])
def test_two_developers_and_a_visitor_on_the_same_line(team: MakeTeam, tmp_path: Path, options: str) -> None:
    t = team(options)
    anna = t.ide("anna", {"line": "text", "condition": "mine('anna', who, number == 7)"})
    ben = t.ide("ben", {"line": "text", "logMessage": "ben logs {mine('ben', who, number)}"}, "done")
    annas = [t.start("anna", number) for number in (6, 7)]
    stop = anna.stopped()
    assert (who(stop), stop.locals()["number"], stop.frame()["line"]) == ("anna", "7", line_of("text"))
    bens = t.start("ben", 7)
    stopped = ben.stopped()
    assert (who(stopped), stopped.frame()["line"]) == ("ben", line_of("done"))
    t.visit(7)
    for ide in (stop, stopped):
        assert len(ide.session.request("threads")["threads"]) == 2
    stop.resume()
    assert [each.answer().body for each in annas] == [answer_to("anna", 6), answer_to("anna", 7)]
    assert not bens.done
    stopped.resume()
    assert bens.answer().body == answer_to("ben", 7)
    assert printed(ben) == ["ben logs 7"]
    assert printed(anna) == []
    nothing_more(anna)
    nothing_more(ben)
    assert not (tmp_path / "misplaced").exists()


def test_hits_are_each_developers_own(team: MakeTeam) -> None:
    t = team()
    anna = t.ide("anna", {"line": "price", "hitCondition": "3"})
    ben = t.ide("ben", {"line": "price", "hitCondition": "4"})
    bens = t.start("ben", 1)  # three hits
    bens.answer()
    annas = t.start("anna", 1)
    assert who(anna.stopped()) == "anna"
    nothing_more(ben)
    bens = t.start("ben", 2)
    stop = ben.stopped()
    assert stop.locals()["number"] == "2"
    stop.resume()
    assert bens.answer().body == answer_to("ben", 2)
    assert not annas.done


def test_the_errors_of_one_are_not_the_others(team: MakeTeam) -> None:
    t = team()
    anna = t.ide("anna", exception_filters=("raised",))
    ben = t.ide("ben", exception_filters=("uncaught",))
    bens, annas = t.start("ben", 1, "/failing"), t.start("anna", 1, "/failing")
    stop = anna.stopped()
    assert (stop.reason, who(stop)) == ("exception", "anna")
    assert bens.answer().body == answer_to("ben", 1)
    t.visit(1, "/failing")
    stop.resume()
    assert annas.answer().body == answer_to("anna", 1)
    # And when anna asks for no errors any more, ben's stay as they are.
    anna.session.request("setExceptionBreakpoints", {"filters": []})
    ben.session.request("setExceptionBreakpoints", {"filters": ["raised"]})
    annas, bens = t.start("anna", 2, "/failing"), t.start("ben", 2, "/failing")
    assert who(stop := ben.stopped()) == "ben"
    assert annas.answer().body == answer_to("anna", 2)
    stop.resume()
    bens.answer()
    nothing_more(anna)


def test_the_console_shows_only_ones_own(team: MakeTeam) -> None:
    t = team("workers=2 threads=8")
    anna, ben = t.ide("anna", "text"), t.ide("ben", "text")
    annas, bens = t.start("anna", 1), t.start("ben", 1)
    stops = anna.stopped(), ben.stopped()
    for stop, name in zip(stops, ("anna", "ben"), strict=True):
        stop.session.evaluate(f"print('said by {name}')", stop.frame()["id"])
    t.server.get("/printing?who=visitor&number=1", OTHER)
    wait_for(lambda: printed(anna) == ["said by anna"] and printed(ben) == ["said by ben"], "what was printed")
    for stop in stops:
        stop.resume()
    annas.answer(), bens.answer()
    assert printed(anna) == ["said by anna"]
    assert printed(ben) == ["said by ben"]


def test_a_long_evaluation_holds_up_nobody_else(team: MakeTeam, tmp_path: Path) -> None:
    t = team()
    anna, ben = t.ide("anna", "text"), t.ide("ben", "text")
    annas, bens = t.start("anna", 1), t.start("ben", 1)
    long, short = anna.stopped(), ben.stopped()
    wait = f"[1 for _ in iter(lambda: __import__('os').path.exists({str(tmp_path / 'go')!r}), True)] and 'waited'"
    seq = long.session.send("evaluate", {"expression": wait, "frameId": long.frame()["id"], "context": "repl"})
    assert short.session.evaluate("1 + 1", short.frame()["id"]) == "2"
    short.session.next(short.thread_id)
    assert ben.stopped().frame()["line"] == line_of("done")
    short.resume()
    assert bens.answer().body == answer_to("ben", 1)
    t.visit()
    (tmp_path / "go").touch()
    assert long.session.wait_response(seq)["result"] in ("'waited'", "[]")
    long.resume()
    assert annas.answer().body == answer_to("anna", 1)


# Whose request is it


def test_each_request_has_the_owner_of_the_table(team: MakeTeam) -> None:
    t = team("workers=2 threads=8", STAGEDOOR_ALLOW=f"{ALLOWED} {ANNAS}")
    waiting = t.get("anna", 1).headers["Stagedoor"]
    assert "client=waiting" in waiting
    anna = t.ide("anna", "done")
    # A pass of a session's that is not there, and no session for everybody.
    bens = t.get("ben", 1)
    assert bens.body == answer_to("ben", 1)
    assert "client=waiting" in bens.headers["Stagedoor"]
    everybody = t.server.ide(breakpoints={FILE: [line_of("done")]})
    # The pass's name, from whichever allowed address.
    annas = [t.start("anna", 2), t.start("anna", 3, source=ANNAS)]
    assert run_through(anna, annas) == ["anna", "anna"]
    # Whoever has no pass is everybody's; with a pass nobody else's ever.
    bens = t.start("ben", 4)
    plain = t.server.start_get("/order?who=nobody&number=5", ANNAS)
    assert run_through(everybody, [bens, plain]) == ["nobody"]
    assert [each.answer().body for each in (bens, plain)] == [answer_to("ben", 4), answer_to("nobody", 5)]
    assert "client=waiting" in bens.answer().headers["Stagedoor"]
    nothing_more(anna)
    t.visit()


def test_a_waiting_request_says_who_is_attached(team: MakeTeam) -> None:
    t = team()
    t.ide("anna")
    header = t.get("ben", 1).headers["Stagedoor"]
    assert header.endswith('client=waiting; attached="anna"')


def test_a_second_client_of_an_owner_is_refused_with_both_ways_out(team: MakeTeam) -> None:
    t = team()
    first = t.ide("anna", "done")
    with pytest.raises(RequestFailed) as caught:
        t.ide("anna", "done")
    assert "anna is attached since" in caught.value.sentence
    assert "Either that client disconnects, or you attach with a pass of your own" in caught.value.sentence
    annas = t.start("anna", 1)
    assert len(run_through(first, [annas])) == 1


def test_a_pass_of_an_old_window_is_none(team: MakeTeam) -> None:
    t = team()
    old = t.passes("anna")
    t.server.switch.close()
    wait_for(lambda: not is_listening(t.server.debug_port), "the port to be closed", timeout=5)
    t.server.open()
    t.server.joined()
    with pytest.raises(RequestFailed, match="none of this window's"):
        t.server.ide(breakpoints={FILE: []}, token=old.attach)
    everybody = t.server.ide(breakpoints={FILE: [line_of("done")]})
    # Nor is it a request without a pass, which would be everybody's.
    answer = t.server.get("/order?who=anna&number=1", ALLOWED, {"X-Stagedoor-Token": old.request})
    assert answer.body == answer_to("anna", 1)
    nothing_more(everybody)


def test_sixteen_developers_are_attached_and_no_more(team: MakeTeam) -> None:
    t = team("workers=2 threads=8")
    ides = {f"dev{turn}": t.ide(f"dev{turn}", "done") for turn in range(16)}
    with pytest.raises(RequestFailed, match="16 developers are attached, and a window has no more than that"):
        t.ide("late")
    for name in ("dev0", "dev15"):
        assert run_through(ides[name], [t.start(name, 1)]) == [name]
    ides["dev3"].disconnect()
    late = t.ide("late", "done")
    assert run_through(late, [t.start("late", 1)]) == ["late"]
    t.visit()


def test_one_leaves_with_three_paused_and_the_others_notice_nothing(team: MakeTeam) -> None:
    t = team("workers=2 threads=8")
    anna, ben = t.ide("anna", "text"), t.ide("ben", "text")
    bens = t.start("ben", 1)
    stop = ben.stopped()
    annas = [t.start("anna", number) for number in range(3)]
    for _ in annas:
        anna.stopped()
    anna.disconnect()
    assert [each.answer().body for each in annas] == [answer_to("anna", number) for number in range(3)]
    assert not bens.done
    stop.session.next(stop.thread_id)
    assert ben.stopped().frame()["line"] == line_of("done")
    assert len(t.server.status()["sessions"]) == 1
    stop.resume()
    assert bens.answer().body == answer_to("ben", 1)
    again = t.ide("anna", "text")
    assert len(run_through(again, [t.start("anna", 5)])) == 1
    assert len(run_through(ben, [t.start("ben", 6)])) == 1


@pytest.mark.parametrize(
    ("path", "milliseconds"),
    [("/sleeping", 2000), ("/spinning", 3000), ("/computing", 3000)],
    ids=lambda each: str(each),
)
def test_pause_stops_ones_own_running_request_where_it_is(team: MakeTeam, path: str, milliseconds: int) -> None:
    t = team()
    anna, ben = t.ide("anna", "text"), t.ide("ben", "text")
    run_through(anna, [t.start("anna", 1)])  # The worker has joined.
    bens = t.start("ben", milliseconds, path)
    annas = t.start("anna", milliseconds, path)
    anna.session.request("pause", {"threadId": thread_of(anna, path)})
    stop = anna.stopped()
    assert stop.reason == "pause"
    frames = stop.session.stack(stop.thread_id)
    assert path.removeprefix("/") in [frame["name"] for frame in frames]
    assert bens.answer().body == answer_to("ben", milliseconds)
    stop.resume()
    assert annas.answer().body == answer_to("anna", milliseconds)
    nothing_more(ben)


def thread_of(ide: Ide, path: str) -> int:
    """The one request that runs."""

    def running() -> list[int]:
        return [each["id"] for each in ide.session.request("threads")["threads"] if path in each["name"]]

    return wait_for(running, "a request that runs")[0]


def test_nothing_happens_in_anothers_request_under_load(tmp_path: Path) -> None:
    assert soak(tmp_path, developers=3, requests=12) == []
