"""A debugger that takes long to be loaded, as from a cold disk: one request goes on without it, the next one has it."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from conftest import ServeGated
from stagedoor.access.passes import make_passes
from stagedoor.dap.client import WaitFailed
from stagedoor.worker.patience import USUAL
from support.gatekeepers import GatedServer
from support.servers import ALLOWED, OTHER
from support.waiting import wait_for

LOADING = "this worker is still loading the debugger"

#: Python imports it when it starts. The folder is on no path of the gatekeeper's.
SLOW = '''
import sys, time

class Slow:
    """A finder that finds nothing, after a while."""

    def find_spec(self, name, path=None, target=None):
        if name == "pydevd":
            while not {condition}:
                time.sleep(0.02)

sys.meta_path.insert(0, Slow())
'''


def slow_until(folder: Path, condition: str) -> str:
    """A folder that makes an import of pydevd wait for ``condition``, an expression."""
    (folder / "slow").mkdir()
    (folder / "slow" / "sitecustomize.py").write_text("import os\n" + SLOW.format(condition=condition))
    return str(folder / "slow")


def header(server: GatedServer) -> str:
    return server.get("/hello", ALLOWED).headers.get("Stagedoor", "")


@pytest.mark.parametrize(("name", "options"), [("gunicorn", "workers=1 threads=4"), ("waitress", "")])
def test_a_worker_that_loads_slowly_is_used_by_the_next_request(
    serve_gated: ServeGated, tmp_path: Path, name: str, options: str
) -> None:
    loaded = tmp_path / "loaded"
    server = serve_gated(name, options, PYTHONPATH=slow_until(tmp_path, f"os.path.exists({str(loaded)!r})"))
    ide = server.ready("view")
    first = server.get("/view?first", ALLOWED)
    assert first.body == "total 7 for first"
    assert LOADING in first.headers["Stagedoor"]
    assert first.seconds < USUAL.join + 2
    # Only the first one waits.
    second = server.get("/view?second", ALLOWED)
    assert LOADING in second.headers["Stagedoor"]
    assert second.seconds < USUAL.join - 1
    assert server.get("/view?other", OTHER).body == "total 7 for other"
    loaded.touch()
    wait_for(lambda: LOADING not in header(server), "the debugger to be loaded")
    mine = server.start_get("/view?mine", ALLOWED)
    stop = ide.stopped()
    assert stop.locals()["query"] == "'mine'"
    stop.resume()
    assert mine.answer().body == "total 7 for mine"
    assert not [line for line in ide.console() if "your IDE" in line]


def test_a_worker_that_comes_after_the_client_and_takes_some_seconds_is_not_lost(
    serve_gated: ServeGated, tmp_path: Path
) -> None:
    # Each process waits for five seconds from its first import of it.
    condition = "time.monotonic() > globals().setdefault('until', time.monotonic() + 5)"
    server = serve_gated("gunicorn", "workers=1 threads=4", PYTHONPATH=slow_until(tmp_path, condition))
    ide = server.ready("view")
    before = server.get("/pid", OTHER).body
    os.kill(int(before), signal.SIGKILL)
    wait_for(lambda: server.get("/pid", OTHER).body != before, "another worker", timeout=20)
    stops = []
    deadline = time.monotonic() + 30
    while not stops and time.monotonic() < deadline:
        mine = server.start_get("/view?mine", ALLOWED)
        while mine.thread.is_alive():
            with suppress(WaitFailed):
                stops.append(ide.stopped(timeout=0.1))
                stops[-1].resume()
        mine.answer()
    assert stops, "no request of the new worker has stopped"
    assert not [line for line in ide.console() if "your IDE" in line]


def test_who_attaches_while_a_worker_loads_is_stopped_for_at_once(serve_gated: ServeGated, tmp_path: Path) -> None:
    """It loads as soon as anna is there, and reads of ben when it is through; the answer to his attach waits for that."""
    condition = "time.monotonic() > globals().setdefault('until', time.monotonic() + 1.5)"
    server = serve_gated("gunicorn", "workers=1 threads=4", PYTHONPATH=slow_until(tmp_path, condition))
    token = server.open().token
    anna, ben = make_passes("anna", token), make_passes("ben", token)
    server.joined()
    server.ide("view", token=anna.attach)
    ide = server.ide("view", token=ben.attach)
    mine = server.start_get("/view?mine", ALLOWED, {"X-Stagedoor-Token": ben.request})
    stop = ide.stopped()
    assert stop.locals()["query"] == "'mine'"
    stop.resume()
    assert mine.answer().headers["Stagedoor"].endswith("client=attached")


def test_the_end_of_the_window_does_not_wait_for_the_import(serve_gated: ServeGated, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    server = serve_gated(
        "gunicorn", "workers=1 threads=4", PYTHONPATH=slow_until(tmp_path, f"os.path.exists({str(loaded)!r})")
    )
    ide = server.ready("view")
    waiting = server.start_get("/view?waits", ALLOWED)
    server.switch.close()
    ide.session.wait_closed(2)
    assert waiting.answer().body == "total 7 for waits"
    wait_for(lambda: not server.gatekeepers(), "the gatekeeper to be gone", timeout=2)
    loaded.touch()
    server.wait_until_no_thread()
    assert os.path.exists(loaded)


def test_whoever_attaches_while_the_debugger_is_loaded_is_heard_of(serve_gated: ServeGated, tmp_path: Path) -> None:
    loaded = tmp_path / "loaded"
    slow = slow_until(tmp_path, f"os.path.exists({str(loaded)!r})")
    server = serve_gated("gunicorn", "workers=1 threads=4", PYTHONPATH=slow)
    server.open()
    server.joined()
    anna, ben = (make_passes(name, str(server.token())) for name in ("anna", "ben"))
    server.ide("view", token=anna.attach)
    # By now the worker loads it.
    ide = server.ide("view", token=ben.attach)
    pending = server.start_get("/view?bens", ALLOWED, {"X-Stagedoor-Token": ben.request})
    loaded.touch()
    stop = ide.stopped()
    assert stop.locals()["query"] == "'bens'"
    stop.resume()
    assert pending.answer().body == "total 7 for bens"
