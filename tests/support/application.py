"""The application that the end-to-end tests serve: plain WSGI, with lines to stop at and a report on its own process.

The lines at which tests stop end in ``# stop: NAME``; :func:`stop_line` finds them.
"""

from __future__ import annotations

import _thread
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_lock = threading.Lock()
_row = threading.Lock()
_beats = {"background": 0, "late": 0}


def stop_line(name: str) -> int:
    """The number of the line that ends in ``# stop: name``."""
    for number, line in enumerate(Path(__file__).read_text().splitlines(), 1):
        if line.rstrip().endswith(f"# stop: {name}"):
            return number
    raise LookupError(name)


def work(number: int) -> int:
    doubled = number * 2
    doubled += 1  # stop: work
    return doubled


def beat(name: str) -> None:
    with _lock:
        _beats[name] += 1


def background(name: str) -> None:
    """A thread of the application's own that runs over the very lines that have breakpoints."""
    while True:
        work(1)
        beat(name)
        time.sleep(0.01)


def view(environ: Environ) -> str:
    query = environ.get("QUERY_STRING", "")
    cart = {"apples": 3, "query": query}
    total = work(cart["apples"])  # stop: view
    return f"total {total} for {query}"


def failing(environ: Environ) -> str:
    raise KeyError("no such price")


def hard_coded(environ: Environ) -> str:
    import debugpy

    debugpy.breakpoint()
    return "past the hard-coded breakpoint"


def builtin_breakpoint(environ: Environ) -> str:
    breakpoint()
    return "past breakpoint()"


def holding(environ: Environ) -> str:
    """Holds what other requests want as well, as a transaction holds a row."""
    with _row:
        query = environ["QUERY_STRING"]  # stop: holding
    return f"held by {query}"


def is_connected(environ: Environ) -> str:
    import debugpy

    return str(debugpy.is_client_connected())


def trace_everything(environ: Environ) -> str:
    """What an application may say that was debugged by hand before."""
    import debugpy

    debugpy.debug_this_thread()
    debugpy.trace_this_thread(True)
    return "traced"


#: For requests that run until a test tells them to end, in the same process.
told = threading.Event()
waiting_until_told = False
trace_while_waiting: Any = None


def until_told(environ: Environ) -> str:
    global waiting_until_told, trace_while_waiting
    deadline = time.monotonic() + 10
    while not told.is_set() and time.monotonic() < deadline:
        trace_while_waiting = look_at_the_trace()
        waiting_until_told = True
        time.sleep(0.001)
    waiting_until_told = False
    return "told"


#: What a request that spins has found, and until when it does.
spun: dict[str, Any] = {}


def spin(environ: Environ) -> str:
    """As :func:`until_told`, but it calls no function that is written in Python."""
    gettrace, monotonic, found = sys.gettrace, time.monotonic, spun
    found.update(turns=0, ends=False)
    deadline = monotonic() + 10
    while not found["ends"] and monotonic() < deadline:
        found["trace"] = gettrace()
        found["turns"] += 1
    return "spun"


def look_at_the_trace() -> Any:
    return sys.gettrace()


def print_secret(environ: Environ) -> str:
    print("s3cret")
    return "printed"


def late_thread(environ: Environ) -> str:
    threading.Thread(target=background, args=("late",), daemon=True).start()
    return "started"


def slow(environ: Environ) -> str:
    """Keeps running until the file named in the query is there, over a line with a breakpoint. That it runs is told by
    another file next to it.
    """
    path = Path(environ["QUERY_STRING"])
    path.with_name(f"{path.name}-begun-{os.getpid()}-{threading.get_ident()}").touch()
    deadline = time.monotonic() + 30
    turns = 0
    while not path.exists() and time.monotonic() < deadline:
        work(turns)
        turns += 1
        time.sleep(0.005)
    return f"{turns > 0}"


def fork(environ: Environ) -> str:
    """What a child forked here finds in itself, after it has run over a line with a breakpoint."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            value = work(20)
            os.write(writing, json.dumps(report_process() | {"value": value}).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


def child(environ: Environ) -> str:
    """What a child started here inherits."""
    script = "import os, json; print(json.dumps(sorted(os.listdir('/proc/self/fd'))))"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


def hot(environ: Environ) -> str:
    """Seconds that a loop takes in the very function that holds a breakpoint."""
    started = time.perf_counter()
    total = 0
    for number in range(200_000):
        total += number & 3
    if environ.get("never"):
        total += 1  # stop: hot
    return str(time.perf_counter() - started)


def sockets_of_process() -> list[str]:
    found = []
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.append(target)
    return sorted(found)


def sockets_of_debugger() -> list[str]:
    """The debugger's own among them."""
    pydevd = sys.modules.get("pydevd")
    # It may just be being imported, on another thread.
    debugger = getattr(pydevd, "get_global_debugger", lambda: None)()
    try:
        return [f"socket:[{os.fstat(debugger.reader.sock.fileno()).st_ino}]"] if debugger else []
    except OSError:  # It is just being closed.
        return []


def report_process() -> dict[str, Any]:
    """What a process knows of itself that a debugger could have changed."""
    monitoring = getattr(sys, "monitoring", None)
    with _lock:
        beats = dict(_beats)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return {
        "pid": os.getpid(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "os_threads": int(status["Threads"]),
        "resident_kib": int(status["VmRSS"].split()[0]),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "sockets": sockets_of_process(),
        "debugger_sockets": sockets_of_debugger(),
        "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text().split(),
        "debugger_loaded": "pydevd" in sys.modules,
        "debugpy_loaded": "debugpy" in sys.modules,
        "trace": repr(sys.gettrace()),
        "threading_trace": repr(threading.gettrace()),
        "tool": monitoring.get_tool(monitoring.DEBUGGER_ID) if monitoring else None,
        "local_events": monitoring.get_local_events(monitoring.DEBUGGER_ID, work.__code__)
        if monitoring and monitoring.get_tool(monitoring.DEBUGGER_ID)
        else 0,
        "breakpointhook": sys.breakpointhook is sys.__breakpointhook__,
        "start_new_thread": _thread.start_new_thread.__module__,
        "beats": beats,
    }


def report(environ: Environ) -> str:
    return json.dumps(report_process())


class Streamed:
    """A body that runs over a line with a breakpoint for every block, and counts its ``close()``."""

    closed = 0

    def __init__(self, blocks: int) -> None:
        self._blocks = iter(range(blocks))

    def __iter__(self) -> Iterator[bytes]:
        for number in self._blocks:
            block = b"block %d\n" % number
            yield block  # stop: stream

    def close(self) -> None:
        Streamed.closed += 1


VIEWS: dict[str, Callable[[Environ], str]] = {
    "/view": view,
    "/failing": failing,
    "/hard-coded": hard_coded,
    "/builtin-breakpoint": builtin_breakpoint,
    "/holding": holding,
    "/is-connected": is_connected,
    "/trace-everything": trace_everything,
    "/until-told": until_told,
    "/spin": spin,
    "/print-secret": print_secret,
    "/late-thread": late_thread,
    "/slow": slow,
    "/fork": fork,
    "/child": child,
    "/hot": hot,
    "/report": report,
    "/closed": lambda environ: str(Streamed.closed),
    "/pid": lambda environ: str(os.getpid()),
    "/hello": lambda environ: "hello",
}


def debugged_application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """One that was debugged by hand before."""
    import debugpy

    if not debugpy.is_client_connected():
        with suppress(RuntimeError):  # It has been called already.
            debugpy.listen(("127.0.0.1", 0))
    return application(environ, start_response)


def with_another_door(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """One part of it has a StageDoor of its own."""
    global _inner
    if environ["PATH_INFO"] != "/inner":
        return application(environ, start_response)
    from stagedoor import StageDoor

    with _lock:
        _inner = _inner or StageDoor(application)
    return _inner(environ | {"PATH_INFO": "/hello"}, start_response)


_inner: Any = None


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/stream":  # stop: first
        start_response("200 OK", [("Content-Type", "text/plain")])
        return Streamed(int(parse_qs(environ["QUERY_STRING"])["blocks"][0]))
    body = VIEWS[environ["PATH_INFO"]](environ).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
