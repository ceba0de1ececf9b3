"""What ends a pause: the setting, or a server that kills a worker whose request takes too long."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest

from stagedoor.tracing import Pause
from stagedoor.worker.limits import Limits
from stagedoor.worker.servers import Server


def paused(since: float) -> Pause:
    return Pause("GET /checkout", threading.get_ident(), since, "views.py", 12)


@pytest.mark.parametrize(
    ("kills_after", "max_pause", "since", "is_servers"),
    [
        pytest.param(None, 600, 0, False, id="a server that kills nobody"),
        pytest.param(60, 600, 0, True, id="the server comes first"),
        pytest.param(60, 10, 0, False, id="max_pause comes first"),
        pytest.param(60, 600, -700, False, id="max_pause is over before the request that came"),
        pytest.param(60, 50, 20, True, id="paused late in its request"),
    ],
)
def test_what_ends_a_pause_is_decided_once(
    kills_after: float | None, max_pause: float, since: float, is_servers: bool
) -> None:
    limits = Limits(Server("the server", kills_after=kills_after), timedelta(seconds=max_pause))
    limits.came()
    pause = paused(time.monotonic() + since)
    assert limits.is_servers(pause) is is_servers
    assert (limits.end_of(pause) < pause.since + max_pause) is is_servers


def test_nothing_is_the_servers_of_a_thread_whose_request_is_not_known() -> None:
    limits = Limits(Server("the server", kills_after=60), timedelta(seconds=600))
    assert not limits.is_servers(paused(time.monotonic()))
