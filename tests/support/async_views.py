"""``async def`` views for Flask and Django, and what they call. The lines at which tests stop end in ``# stop: NAME``."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio import base_events
from collections.abc import AsyncIterator, Awaitable, Callable
from traceback import walk_stack
from typing import Any

from asgiref.sync import async_to_sync, sync_to_async

import stagedoor
from support.application import report_process
from support.monitoring import global_events


async def view() -> str:
    before = 1  # stop: first
    await asyncio.sleep(0.001)
    after = before + 1  # stop: after an await
    await asyncio.sleep(0.001)  # stop: at an await
    last = after + 1  # stop: behind it
    return f"view {last}"  # stop: last


async def branch(number: int) -> int:
    await asyncio.sleep(0.001 * number)
    return number * 10  # stop: branch


async def gather() -> str:
    return f"gather {await asyncio.gather(branch(1), branch(2), asyncio.create_task(branch(3)))}"


def half(size: int) -> int:
    return size // 2  # stop: half


async def back() -> str:
    """The function runs on the thread that serves the request."""
    return f"back {await sync_to_async(half)(8)}"


async def elsewhere() -> str:
    """The function runs on a third thread."""
    return f"elsewhere {await sync_to_async(half, thread_sensitive=False)(8)}"


async def helper() -> str:
    """A thread of its own, which asgiref has nothing to do with."""
    return f"helper {await asyncio.to_thread(stagedoor.traced(half), 8)}"


async def innermost(size: int) -> int:
    await asyncio.sleep(0.001)  # stop: within
    return size + 1  # stop: innermost


def between(size: int) -> int:
    inner = async_to_sync(innermost)(size)  # stop: call
    return inner + 1  # stop: between


async def nested() -> str:
    """A coroutine that calls a function that runs a coroutine."""
    result = await sync_to_async(between)(5)
    return f"nested {result}"  # stop: behind them


async def both() -> str:
    """One request, and two of its threads can be paused at the same time."""
    return f"both {await asyncio.gather(sync_to_async(half)(8), branch(1))}"


async def to_thread() -> str:
    """Threads that are given to nobody by :func:`stagedoor.traced`."""
    loop = asyncio.get_running_loop()
    return f"to_thread {await asyncio.to_thread(half, 8)} {await loop.run_in_executor(None, half, 8)}"


cleaned_up: list[str] = []


async def outlive() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        cleaned_up.append("a task")  # stop: outlive


_tasks: set[asyncio.Task[None]] = set()


async def leave_behind() -> str:
    """Returns while a task of it still runs, which asgiref then ends."""
    _tasks.add(task := asyncio.create_task(outlive()))
    task.add_done_callback(_tasks.discard)
    await asyncio.sleep(0.001)
    return f"left behind {len(cleaned_up)}"


async def fail() -> str:
    fruit = "pears"
    await asyncio.sleep(0.001)
    return {"apples": "3"}[fruit]  # stop: fail


async def named() -> str:
    with stagedoor.traced("named"):
        inside = "inside"
        return f"named {inside}"  # stop: named


async def blocks() -> AsyncIterator[bytes]:
    yield b"first "
    await asyncio.sleep(0.001)
    yield b"second"  # stop: block


async def hello() -> str:
    return "hello"


async def pid() -> str:
    return str(os.getpid())


async def report() -> str:
    return json.dumps(report_process() | {"global_events": global_events()})


def sync() -> str:
    return "sync"  # stop: sync


def loops() -> str:
    """How many threads of this process run an event loop."""
    files = [{frame.f_code.co_filename for frame, _ in walk_stack(top)} for top in sys._current_frames().values()]
    return str(len([each for each in files if base_events.__file__ in each]))


SYNC_VIEWS: dict[str, Callable[[], str]] = {"sync": sync, "loops": loops}

VIEWS: dict[str, Callable[[], Awaitable[Any]]] = {
    each.__name__: each
    for each in (view, gather, back, elsewhere, helper, nested, both, to_thread, leave_behind, fail, named, hello, pid, report)
}  # fmt: skip
