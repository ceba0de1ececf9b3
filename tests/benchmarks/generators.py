"""Load on a server: a fixed number of connections, each of which sends its next request when it has its answer."""

from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import subprocess
import time
from typing import Any, NamedTuple, Protocol

from support.servers import OTHER


class Load(NamedTuple):
    """What a load has met: requests a second, and the times of their answers in milliseconds."""

    throughput: float
    p50: float
    p99: float


class Generator(Protocol):
    """Loads one server."""

    #: What it is, for the report.
    name: str

    def run(self, seconds: float) -> Load: ...


def generator(port: int, path: str, connections: int) -> Generator:
    """wrk, or where it is missing our own."""
    return Wrk(port, path, connections) if shutil.which("wrk") else Connections(port, path, connections)


class Wrk:
    """`wrk <https://github.com/wg/wrk>`_, as Debian packages it."""

    def __init__(self, port: int, path: str, connections: int) -> None:
        self.name = f"wrk, {connections} connections"
        self._command = ["wrk", "-t", "1", "-c", str(connections), "--latency", f"http://127.0.0.1:{port}{path}", "-d"]

    def run(self, seconds: float) -> Load:
        said = subprocess.run(
            [*self._command, f"{max(1, round(seconds))}s"], capture_output=True, text=True, check=True
        )
        if "Non-2xx" in said.stdout or "Socket errors" in said.stdout:
            raise RuntimeError(f"Requests have failed under load: {said.stdout}")
        throughput = re.search(r"Requests/sec:\s+([\d.]+)", said.stdout)
        assert throughput is not None, said.stdout
        return Load(float(throughput[1]), _wrk_milliseconds(said.stdout, 50), _wrk_milliseconds(said.stdout, 99))


def _wrk_milliseconds(said: str, percentile: int) -> float:
    found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s)\s*$", said, re.MULTILINE)
    assert found is not None, said
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


class Connections:
    """Our own, in Python."""

    def __init__(self, port: int, path: str, connections: int) -> None:
        self.name = f"Python, {connections} connections"
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
        self._number = connections

    def run(self, seconds: float) -> Load:
        return asyncio.run(self._run(seconds))

    async def _run(self, seconds: float) -> Load:
        started = time.perf_counter()
        connections = [_Connection(self._port, self._request, started + seconds) for _ in range(self._number)]
        try:
            answers = await asyncio.gather(*(connection.run() for connection in connections))
        finally:
            for connection in connections:
                connection.close()
        lasted = time.perf_counter() - started
        taken = [one for those in answers for one in those]
        percentiles = statistics.quantiles(taken, n=100)
        return Load(len(taken) / lasted, percentiles[49] * 1000, percentiles[98] * 1000)


class _Connection(asyncio.Protocol):
    """One connection, that sends a request when it has the answer to the last one. A failed request fails the run."""

    def __init__(self, port: int, request: bytes, until: float) -> None:
        self._port = port
        self._request = request
        self._until = until
        self._received = b""
        self._sent_at = 0.0
        self._taken: list[float] = []
        self._over: asyncio.Future[list[float]] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None
        self._again: asyncio.Task[None] | None = None

    async def run(self) -> list[float]:
        """Send requests; gives the seconds that each answer took."""
        await self._connect()
        return await self._over

    def close(self) -> None:
        self._over.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", self._port, local_addr=(OTHER, 0))

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send(transport)

    def _send(self, transport: asyncio.WriteTransport) -> None:
        self._received = b""
        self._sent_at = time.perf_counter()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found or self._over.done() or self._transport is None:
            return
        length = re.search(rb"(?im)^content-length: (\d+)", head)
        if length is None or not head.startswith(b"HTTP/1.1 200 "):
            self._over.set_exception(RuntimeError(f"A request has failed under load: {head!r}"))
        elif len(body) >= int(length[1]):
            now = time.perf_counter()
            self._taken.append(now - self._sent_at)
            if now < self._until:
                self._send(self._transport)
            else:
                self._over.set_result(self._taken)

    def connection_lost(self, error: Exception | None) -> None:
        if self._over.done():
            return
        if self._received:
            self._over.set_exception(RuntimeError(f"The server has closed a connection under load: {error}"))
        else:
            # It keeps so many alive, and closes others after an answer.
            self._again = asyncio.get_running_loop().create_task(self._connect())
