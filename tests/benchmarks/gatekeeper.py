"""What the gatekeeper takes, in time and memory: ``python tests/benchmarks/gatekeeper.py [--windows 50] [--json]``.

A gunicorn worker with threads, one for each sample of what happens only once in a worker's life. Times are from the
request that is sent to the event in the client, both in this process. Takes about two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
os.environ["PYTHONPATH"] = str(ROOT / "src")

from benchmarks.crowded import CROWDS, megabytes, passes, resident  # noqa: E402
from stagedoor.dap.ide import Ide  # noqa: E402
from support.gatekeepers import GatedServer  # noqa: E402
from support.servers import ALLOWED  # noqa: E402

#: Workers, and what is measured of each of them.
SAMPLES, HITS = 7, 20
#: Developers at the same time: as many as a window has.
SESSIONS = 16


@contextmanager
def worker(threads: int = 8) -> Iterator[GatedServer]:
    """A server with one new worker."""
    with tempfile.TemporaryDirectory() as folder:
        server = GatedServer(Path(folder), "gunicorn", options=f"workers=1 threads={threads}")
        try:
            yield server
        finally:
            server.stop()


def milliseconds_to_stop(server: GatedServer, ide: Ide) -> float:
    started = time.perf_counter()
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    seconds = time.perf_counter() - started
    stop.resume()
    paused.answer()
    return seconds * 1000


def attached(server: GatedServer) -> tuple[Ide, float]:
    """An IDE, and the milliseconds from its connection to the answer to its attach."""
    started = time.perf_counter()
    ide = server.ide("view")
    return ide, (time.perf_counter() - started) * 1000


def look(server: GatedServer, ide: Ide) -> None:
    """What every IDE asks for at a stop."""
    paused = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    stop.locals()
    stop.resume()
    paused.answer()


def milliseconds_to_nothing(server: GatedServer, ide: Ide) -> tuple[float, float]:
    """From the end of a window with three paused requests to their last answer, and to nothing being left."""
    paused = [server.start_get("/view?mine", ALLOWED) for _ in range(3)]
    for _ in paused:
        ide.stopped()
    end = server.open(timedelta(seconds=1)).expires_at.timestamp()
    for pending in paused:
        pending.answer()
    answered = time.time() - end
    server.wait_until_gone(timeout=5, every=0.002)
    return answered * 1000, (time.time() - end) * 1000


def milliseconds_without_a_client(server: GatedServer) -> float:
    """The first matching request of a window."""
    answer = server.get("/hello", ALLOWED)
    while "Stagedoor" not in answer.headers:  # The worker looks at the switch every half second.
        answer = server.get("/hello", ALLOWED)
    return answer.seconds * 1000


def growth(windows: int) -> float:
    """MiB that each window of the same worker adds, after the first ones."""
    with worker() as server:
        pid, seen = server.report()["pid"], []
        for _ in range(windows):
            ide = server.ready("view")
            milliseconds_to_stop(server, ide)
            server.switch.close()
            server.wait_until_gone(timeout=5)
            seen.append(resident(pid))
        settled = seen[min(5, len(seen) - 1) :]
        return (settled[-1] - settled[0]) / max(1, len(settled) - 1)


def measure(windows: int, workers: int = SAMPLES) -> dict[str, list[float]]:
    """Samples by what they are of."""
    samples: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(workers):
        with worker() as server:
            for _ in range(HITS):
                server.get("/view?warm")
            pid = server.report()["pid"]
            bare = resident(pid)
            server.open()
            samples["first request of a window, no client, ms"].append(milliseconds_without_a_client(server))
            server.joined()
            samples["worker over bare, window open, MiB"].append(resident(pid) - bare)
            ide, taken = attached(server)
            samples["attach to ready, ms"].append(taken)
            samples["first match of a new worker to stopped, ms"].append(milliseconds_to_stop(server, ide))
            samples["later match to stopped, ms"] += [milliseconds_to_stop(server, ide) for _ in range(HITS)]
            samples["worker over bare, joined, MiB"].append(resident(pid) - bare)
            samples["gatekeeper, MiB"].append(resident(server.gatekeepers()[0]))
            answered, gone = milliseconds_to_nothing(server, ide)
            samples["window's end to three answers, ms"].append(answered)
            samples["window's end to nothing left, ms"].append(gone)
            samples["worker over bare, after the window, MiB"].append(resident(pid) - bare)
    for _ in range(max(1, workers // 2)):
        looked_into, gone = measure_many()
        samples["worker over bare, scopes and variables, MiB"].append(looked_into)
        samples[f"window's end, {SESSIONS} sessions, to nothing left, ms"].append(gone)
    for sessions, others in CROWDS:
        samples[f"gatekeeper, sessions: {sessions}, workers: {others}, MiB"].append(megabytes(sessions, others))
    samples[f"worker, growth per window over {windows}, MiB"].append(growth(windows))
    return dict(samples)


def measure_many() -> tuple[float, float]:
    """What a worker has taken after the first look into a pause, in MiB, and how long the end of a window with
    :data:`SESSIONS` sessions takes.
    """
    # Each session has a share of the pauses that a worker may have, and one of them wants three.
    with worker(threads=3 * SESSIONS) as server:
        for _ in range(HITS):
            server.get("/view?warm")
        pid = server.report()["pid"]
        bare = resident(pid)
        ide = server.ready("view")
        look(server, ide)
        looked_into = resident(pid) - bare
        for token in passes(str(server.token()), SESSIONS)[1:]:
            server.ide("view", token=token)
        return looked_into, milliseconds_to_nothing(server, ide)[1]


def summary(samples: dict[str, list[float]]) -> list[dict[str, Any]]:
    return [
        {"measured": name, "median": round(statistics.median(taken), 2), "largest": round(max(taken), 2)}
        for name, taken in samples.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=50, metavar="N", help="windows for the growth of memory")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    rows = summary(measure(arguments.windows))
    if arguments.json:
        print(json.dumps({"python": platform.python_version(), "rows": rows}, indent=2))
        return
    print(f"Python {platform.python_version()}, {SAMPLES} workers, {HITS} later hits of each\n")
    print(f"{'measured':52} {'median':>8} {'largest':>8}")
    for row in rows:
        print(f"{row['measured']:52} {row['median']:8.2f} {row['largest']:8.2f}")


if __name__ == "__main__":
    main()
