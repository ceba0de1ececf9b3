"""Several developers at once in one application, under load of visitors: nothing of one's happens in another's requests.

Runs as a test with small numbers, and by hand with large: ``python tests/support/soak.py DEVELOPERS REQUESTS``.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stagedoor.access.passes import Passes, make_passes
from stagedoor.dap.client import DapClient, WaitFailed
from stagedoor.dap.ide import Ide, Stop
from support import orders_site
from support.gatekeepers import GatedServer
from support.orders_site import answer_to, line_of
from support.servers import ALLOWED, OTHER
from support.waiting import wait_for

FILE = orders_site.__file__
#: Of so many requests of a developer's, one is to stop.
STRIDE = 4
#: What Stagedoor says of a request for which there was no pause.
FULL = "as many requests of this worker are paused as may be"
#: How a developer steps from there, on no way to another breakpoint of theirs: from ``item``, and from ``price``.
WAYS: tuple[list[tuple[str, ...]], ...] = (
    [(), ("next",), ("stepIn",), ("stepIn", "stepOut"), ("stepIn", "next")],
    [(), ("next",), ("next", "next"), ("next", "stepOut"), ("stepOut", "next"), ("stepIn",)],
)


def breakpoints_of(name: str, turn: int) -> list[dict[str, Any]]:
    """All developers stop on the same lines, each by a condition of their own, and log on the same line."""
    return [
        {
            "line": line_of("price" if turn % 2 else "item"),
            "condition": f"mine({name!r}, who, number % {STRIDE} == {turn % STRIDE} and number < 10**6)",
        },
        {"line": line_of("text"), "logMessage": f"{name} {{mine({name!r}, who, who)}} {{number}}"},
        # On a line without code, above one at which others stop: never true.
        {"line": line_of("none"), "condition": f"mine({name!r}, who, False)"},
    ]


class Developer:
    """One of them: their requests, and their IDE, which steps about in each that stops.

    :param turn: which of them.
    """

    def __init__(self, server: GatedServer, turn: int, passes: Passes, at_once: int) -> None:
        self.name, self.turn = passes.name, turn
        self._server, self._passes, self._at_once = server, passes, at_once
        self._random = random.Random(turn)
        self.stops: Counter[int] = Counter()
        self.faults: list[str] = []
        self._closed = False
        #: How many requests found no pause free.
        self.ran_past = 0
        self.ways: dict[int, tuple[str, ...]] = {}
        #: What Stagedoor has said in the header of each response.
        self.said: dict[int, str] = {}
        self._steps: defaultdict[int, SimpleQueue[Stop]] = defaultdict(SimpleQueue)
        self.ide: Ide = server.ide(breakpoints={FILE: breakpoints_of(self.name, turn)}, token=passes.attach, timeout=60)
        threading.Thread(target=self._handle, name=self.name, daemon=True).start()

    def get(self, path: str, number: int) -> str:
        headers = {"X-Stagedoor-Token": self._passes.request}
        answer = self._server.get(f"{path}?who={self.name}&number={number}", ALLOWED, headers, timeout=120)
        self.said[number] = answer.headers.get("Stagedoor", "")
        return answer.body

    def run(self, requests: int) -> None:
        """Send so many requests."""

        def one(number: int) -> None:
            body = self.get("/order", number)
            if body != answer_to(self.name, number):
                self.faults.append(f"{self.name} {number} was answered with {body!r}")

        with ThreadPoolExecutor(self._at_once) as pool:
            list(pool.map(one, range(requests)))

    def _handle(self) -> None:
        with ThreadPoolExecutor(self._at_once) as pool:
            while not self._closed:
                try:
                    stop = self.ide.stopped(1)
                except WaitFailed:
                    continue
                if stop.reason == "step":
                    self._steps[stop.thread_id].put(stop)
                else:
                    pool.submit(self._step, stop.session, stop.thread_id, stop.reason)

    def _step(self, session: DapClient, thread: int, reason: str) -> None:
        try:
            self._walk(session, thread, reason)
        except Exception as error:
            self.faults.append(f"{self.name}: {type(error).__name__}: {error}")

    def _walk(self, session: DapClient, thread: int, reason: str) -> None:
        frames = session.stack(thread)
        order = next(each for each in frames if each["name"] == "order")
        here = session.locals(order["id"])
        number = int(here["number"])
        if here["who"] != repr(self.name):
            self.faults.append(f"{self.name} is stopped in a request of {here['who']}")
        if reason != "breakpoint":
            self.faults.append(f"{self.name} {number} is stopped by {reason}")
        else:
            self.stops[number] += 1
            said = session.evaluate(
                f"print(f'printed {self.name} {{who}}\\n', end='') or (who, number)", frames[0]["id"]
            )
            if self.name not in said:
                self.faults.append(f"{self.name} evaluated {said}")
            way = self.ways[number] = self._random.choice(WAYS[self.turn % 2])
            for how in way:
                before = (frames[0]["name"], frames[0]["line"])
                session.request(how, {"threadId": thread})
                self._steps[thread].get(timeout=60)
                frames = session.stack(thread)
                now = (frames[0]["name"], frames[0]["line"])
                if now == before or frames[0]["source"]["path"] != FILE:
                    self.faults.append(f"{self.name}: {how} led from {before} to {now}")
        session.resume(thread)

    def outputs(self, category: str) -> list[str]:
        return [
            line
            for event in self.ide.session.events
            if event["event"] == "output" and event["body"].get("category") == category
            for line in event["body"]["output"].splitlines()
            if line
        ]

    def judge(self, requests: int) -> list[str]:
        """All that was not as it should be, once so many requests have been served."""
        # Told so, truly: the worker's pauses were all taken.
        debugged = [number for number in range(requests) if FULL not in self.said[number]]
        self.ran_past = requests - len(debugged)
        wanted = self._wanted_stops(debugged)
        logged = Counter(f"{self.name} {self.name} {number}" for number in debugged)
        with suppress(AssertionError):  # What did not come is told below.
            wait_for(lambda: self._logged().total() >= len(debugged), "the log messages to have come", timeout=5)
        faults = list(self.faults)
        if self.stops != wanted:
            faults.append(f"{self.name} stopped otherwise: {self.stops - wanted} more, {wanted - self.stops} less")
        if self._logged() != logged:
            more, less = self._logged() - logged, logged - self._logged()
            lost = [number for number in debugged if f"{self.name} {self.name} {number}" in less]
            of = {number: (self.ways.get(number), self.said[number]) for number in lost}
            faults.append(f"{self.name}'s log has {more} more, {less} less: {of}; console: {self.ide.console()}")
        for line in self.outputs("stdout"):
            if line.startswith("printed") and line != f"printed {self.name} {self.name}":
                faults.append(f"{self.name} reads {line}")
        faults.extend(f"{self.name}: {line}" for line in self.ide.console() if "Traceback" in line or "refus" in line)
        return faults

    def _wanted_stops(self, numbers: Iterable[int]) -> Counter[int]:
        """``price`` is called with three numbers in a row for each order, ``item`` has the order's own."""
        wanted: Counter[int] = Counter()
        for number in numbers:
            tried = range(number, number + 3) if self.turn % 2 else [number] * 3
            hits = sum(each % STRIDE == self.turn % STRIDE for each in tried)
            if hits:
                wanted[number] = hits
        return wanted

    def _logged(self) -> Counter[str]:
        return Counter(line for line in self.outputs("stdout") if not line.startswith("printed"))

    def close(self) -> None:
        self._closed = True
        self.ide.disconnect()


class Visitors:
    """Load from an address that is not allowed."""

    def __init__(self, server: GatedServer, at_once: int = 2) -> None:
        self._server = server
        self._over = threading.Event()
        self.seconds: list[float] = []
        self.faults: list[str] = []
        self._threads = [threading.Thread(target=self._visit, args=(turn,), daemon=True) for turn in range(at_once)]

    def __enter__(self) -> Visitors:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _visit(self, turn: int) -> None:
        number = turn
        while not self._over.is_set():
            number += 2
            answer = self._server.get(f"/order?who=visitor&number={number}", OTHER)
            self.seconds.append(answer.seconds)
            if answer.body != answer_to("visitor", number) or "Stagedoor" in answer.headers:
                self.faults.append(f"a visitor was answered with {answer.body!r}")
            self._over.wait(0.01)


def soak(folder: Path, developers: int, requests: int, say: Callable[[str], None] = lambda line: None) -> list[str]:
    """Run it; returns all that was not as it should be."""
    misplaced = folder / "misplaced"
    server = GatedServer(
        folder, "gunicorn", app="support.orders_site:application", options="workers=4 threads=8",
        ORDERS_MISPLACED=str(misplaced),
    )  # fmt: skip
    faults: list[str] = []
    team: list[Developer] = []
    with closing_server(server):
        server.open()
        server.joined()
        token = str(server.token())
        # A worker has seven pauses.
        at_once = 2 if developers <= 3 else 1
        for turn in range(developers):
            team.append(Developer(server, turn, make_passes(f"dev{turn}", token), at_once))
        started = time.monotonic()
        with Visitors(server) as visitors, ThreadPoolExecutor(developers) as pool:
            list(pool.map(lambda developer: developer.run(requests), team))
        seconds = time.monotonic() - started
        faults.extend(visitors.faults)
        for developer in team:
            faults.extend(developer.judge(requests))
        left = server.status()["sessions"]
        faults.extend(f"a request stays: {each}" for session in left for each in session["requests"])
        for developer in team:
            developer.close()
        if misplaced.exists():
            faults.extend(misplaced.read_text().splitlines())
        stops = sum(sum(developer.stops.values()) for developer in team)
        say(
            f"{developers} developers, {requests} requests each: {stops} stops in {seconds:.0f} s,"
            f" {len(visitors.seconds)} visits, median {1000 * statistics.median(visitors.seconds):.1f} ms,"
            f" longest {1000 * max(visitors.seconds):.0f} ms; {sum(developer.ran_past for developer in team)} requests found"
            f" all pauses taken and were told so; {len(faults)} faults"
        )
    return faults


class closing_server(closing[Any]):
    """Stops it."""

    def __exit__(self, *error: object) -> None:
        self.thing.stop()


def main() -> None:
    developers, requests = (int(each) for each in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        faults = soak(Path(folder), developers, requests, print)
    print(f"Python {sys.version.split()[0]}")
    for fault in faults[:20]:
        print(fault)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
