"""The scripted client against the real debugpy, in a process of its own."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stagedoor.dap import wire
from stagedoor.dap.client import DapClient, RequestFailed, WaitFailed
from stagedoor.dap.wire import Message

MARK = "STAGEDOOR_TEST_MARK"

# Runs the function once for every number on stdin, so that nothing depends on time.
SCRIPT = """\
import sys
import debugpy

def area(width):
    height = width + 1
    scale = scaled
    return scale(width * height)

def scaled(value):
    factor = 2
    return value * factor

debugpy.configure(subProcess=False)
print(debugpy.listen(("127.0.0.1", 0))[1], flush=True)
for line in sys.stdin:
    print(area(int(line)), flush=True)
"""
FIRST_LINE = 1 + SCRIPT[: SCRIPT.index("    height")].count("\n")


class Debuggee:
    """A Python process that listens with debugpy, and whatever it starts."""

    def __init__(self, script: Path, stack: ExitStack) -> None:
        self.script = script
        self.mark = uuid.uuid4().hex
        environment = os.environ | {MARK: self.mark, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(script)], env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        stack.callback(self.end)
        self.adapters: dict[int, int] = {}
        self.port = int(self.line())
        # By descriptor, because a number may be another process's by the time it is waited for.
        self.adapters = {pid: os.pidfd_open(pid) for pid in self.marked() if pid != self.process.pid}

    def run(self, number: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def line(self) -> str:
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 20)[0], "the script wrote nothing for 20 s"
        return self.process.stdout.readline().strip()

    def marked(self) -> set[int]:
        """The processes that carry this debuggee's mark: itself, and debugpy's daemonized adapter."""
        wanted, found = f"{MARK}={self.mark}".encode(), set()
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if wanted in environ.read_bytes().split(b"\0"):
                    found.add(int(environ.parent.name))
            except OSError:
                pass  # ended meanwhile, or another user's
        return found

    def kill_adapter(self) -> None:
        for descriptor in self.adapters.values():
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def end(self) -> None:
        """End the script, and see that debugpy's adapter ends with it."""
        with self.process:
            self.process.kill()
        gone = {pid: bool(select.select([descriptor], [], [], 10)[0]) for pid, descriptor in self.adapters.items()}
        self.kill_adapter()
        for descriptor in self.adapters.values():
            os.close(descriptor)
        assert all(gone.values()), "debugpy's adapter outlived the process that it debugged"
        assert self.marked() == set()


@pytest.fixture
def debuggee(tmp_path: Path) -> Iterator[Debuggee]:
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc, to see that debugpy's adapter ends")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with ExitStack() as stack:
        yield Debuggee(script, stack)


@pytest.fixture
def client(debuggee: Debuggee) -> Iterator[DapClient]:
    with DapClient(("127.0.0.1", debuggee.port), timeout=20) as connected:
        yield connected


def test_a_session_from_attach_to_disconnect(debuggee: Debuggee, client: DapClient) -> None:
    assert len(debuggee.adapters) == 1
    taken = client.attach({debuggee.script: [FIRST_LINE]}, exception_filters=["uncaught"])
    assert [(point["verified"], point["line"]) for point in taken[str(debuggee.script)]] == [(True, FIRST_LINE)]
    assert client.capabilities["supportsSetVariable"]

    debuggee.run(3)
    stop = client.stopped()
    assert stop["reason"] == "breakpoint"
    thread = stop["threadId"]
    frame = client.stack(thread)[0]
    assert (frame["name"], frame["line"], frame["source"]["path"]) == ("area", FIRST_LINE, str(debuggee.script))
    assert client.locals(frame["id"]) == {"width": "3"}
    assert client.evaluate("width * 100", frame["id"]) == "300"
    with pytest.raises(RequestFailed, match="ZeroDivisionError") as caught:
        client.evaluate("width / 0", frame["id"], "watch")
    assert caught.value.command == "evaluate"

    client.next(thread)
    assert client.stopped()["reason"] == "step"
    frame = client.stack(thread)[0]
    assert client.locals(frame["id"]) == {"width": "3", "height": "4"}
    scope = client.scopes(frame["id"])[0]["variablesReference"]
    client.request("setVariable", {"variablesReference": scope, "name": "height", "value": "10"})

    client.next(thread)
    client.stopped()
    assert client.locals(client.stack(thread)[0]["id"]) == {"width": "3", "height": "10"}  # and a group for functions
    client.step_in(thread)
    client.stopped()
    frame = client.stack(thread)[0]
    assert (frame["name"], client.locals(frame["id"])) == ("scaled", {"value": "30"})
    client.step_out(thread)
    client.stopped()
    assert client.stack(thread)[0]["name"] == "area"

    client.resume(thread)
    assert debuggee.line() == "60"
    client.disconnect()
    debuggee.run(1)
    assert debuggee.line() == "4"
    assert debuggee.process.poll() is None


def test_a_condition_is_passed_on_and_the_next_client_attaches_as_well(debuggee: Debuggee, client: DapClient) -> None:
    client.attach({debuggee.script: [{"line": FIRST_LINE, "condition": "width == 5"}]})
    debuggee.run(4)
    assert debuggee.line() == "40"
    debuggee.run(5)
    client.stopped()
    client.disconnect()
    assert debuggee.line() == "60"
    with DapClient(("127.0.0.1", debuggee.port), timeout=20) as second:
        second.attach({str(debuggee.script): [FIRST_LINE]})
        debuggee.run(1)
        second.resume(second.stopped()["threadId"])
        assert debuggee.line() == "4"
        second.disconnect()


def test_a_refused_attach_says_why_at_once(client: DapClient) -> None:
    with pytest.raises(RequestFailed, match="mutually exclusive") as caught:
        client.attach(arguments={"listen": {"host": "127.0.0.1", "port": 1}})
    assert caught.value.command == "attach"


def test_a_client_that_is_cut_off_says_so_to_whoever_waits(debuggee: Debuggee, client: DapClient) -> None:
    client.attach({debuggee.script: [FIRST_LINE]})
    debuggee.run(3)
    thread = client.stopped()["threadId"]
    debuggee.kill_adapter()
    client.wait_closed()
    with pytest.raises(WaitFailed, match=r'the response to "continue", but (the peer hung up|.*reset)'):
        client.resume(thread)
    assert debuggee.line() == "24"


class Server:
    """A server that says what a test wants, for what debugpy can't be brought to do."""

    def __init__(self, listener: socket.socket, stack: ExitStack) -> None:
        self.listener = listener
        self._stack = stack
        self._decoder = wire.Decoder()

    def accept(self) -> socket.socket:
        self.listener.settimeout(10)
        self.connection, _ = self.listener.accept()
        self._stack.enter_context(self.connection)
        self.connection.settimeout(10)
        return self.connection

    def say(self, message: Message) -> None:
        self.connection.sendall(wire.encode(message, 1))

    def hear(self) -> Message:
        while True:
            for message in self._decoder.feed(self.connection.recv(1)):
                return message


@pytest.fixture
def server() -> Iterator[Server]:
    with ExitStack() as stack:
        yield Server(stack.enter_context(socket.create_server(("127.0.0.1", 0))), stack)


@pytest.fixture
def caller(server: Server) -> Iterator[DapClient]:
    with DapClient(server.listener.getsockname(), timeout=10) as connected:
        server.accept()
        yield connected


def test_each_event_is_given_out_once_and_in_order(server: Server, caller: DapClient) -> None:
    for number in (1, 2, 3):
        server.say(wire.event("stopped", {"threadId": number}))
    server.say(wire.event("terminated"))
    assert caller.wait_event("terminated") == {}
    assert caller.stopped()["threadId"] == 1
    assert caller.wait_event("stopped", lambda body: body["threadId"] == 3) == {"threadId": 3}
    assert caller.stopped()["threadId"] == 2
    assert [event["event"] for event in caller.events] == ["stopped", "stopped", "stopped", "terminated"]


def test_responses_find_their_requests_in_any_order(server: Server, caller: DapClient) -> None:
    first, second = caller.send("threads"), caller.send("modules")
    one, two = server.hear(), server.hear()
    server.say(wire.response(two, {"modules": []}))
    server.say(wire.error_response(one, "Not now."))
    with pytest.raises(RequestFailed, match=r'^"threads" was refused: Not now\.$') as caught:
        caller.wait_response(first)
    assert caught.value.body["error"]["showUser"] is True
    assert caller.wait_response(second) == {"modules": []}


def test_a_wait_that_fails_names_what_came_but_no_content(server: Server, caller: DapClient) -> None:
    server.say(wire.event("process", {"name": "s3cret"}))
    server.say(wire.event("output", {"output": "s3cret"}))
    caller.wait_event("output")
    with pytest.raises(WaitFailed) as caught:
        caller.wait_event("stopped", timeout=0)
    assert str(caught.value) == (
        'Waited for an event "stopped", but it took too long. Came so far: event process, event output.'
    )


def test_a_broken_protocol_ends_the_wait(server: Server, caller: DapClient) -> None:
    server.connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(WaitFailed, match="doesn't speak the Debug Adapter Protocol"):
        caller.request("threads")


def test_what_came_before_the_end_can_be_waited_for_after_it(server: Server, caller: DapClient) -> None:
    server.say(wire.event("terminated"))
    server.connection.close()
    caller.wait_closed()
    assert caller.wait_event("terminated") == {}
    began = time.monotonic()
    with pytest.raises(WaitFailed, match="the peer hung up"):
        caller.request("threads")
    assert time.monotonic() - began < caller.timeout / 2, "it waited for an answer that can't come"


def test_it_connects_from_another_address(server: Server) -> None:
    with DapClient(server.listener.getsockname(), source_address=("127.0.0.2", 0)):
        assert server.accept().getpeername()[0] == "127.0.0.2"


def test_it_connects_to_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen()
        server = Server(listener, stack)
        with DapClient(path) as caller:
            server.accept()
            server.say(wire.event("initialized"))
            assert caller.wait_event("initialized") == {}


def test_nobody_there_is_an_error_at_construction() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = closed.getsockname()
    with pytest.raises(ConnectionRefusedError):
        DapClient(address)


def test_closing_leaves_no_thread_and_can_be_done_twice(server: Server, caller: DapClient) -> None:
    assert "stagedoor-dapclient" in [thread.name for thread in threading.enumerate()]
    caller.close()
    assert "stagedoor-dapclient" not in [thread.name for thread in threading.enumerate()]
    assert server.connection.recv(1) == b""
    caller.close()
