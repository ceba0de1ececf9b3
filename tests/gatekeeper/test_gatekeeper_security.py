"""Nothing but the gated port leads to a debugger, and the gatekeeper has nothing that it does not need."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.connection import ControlConnection
from stagedoor.dap import wire
from stagedoor.window.window import Window
from support.forks import forks, in_child
from support.gatekeepers import GatedServer
from support.other_user import NOBODY, as_root
from support.scripted import RunningGatekeeper
from support.servers import ALLOWED, free_port
from support.sockets import Listening, listening, socket_inodes
from support.waiting import wait_for

#: A loopback address that is not on the allowlist.
STRANGER = "127.0.0.9"
SECRET = "the-applications-database-password"

pytestmark = pytest.mark.skipif(not Path("/proc/net/unix").exists(), reason="the kernel's tables are read from /proc")

#: The first messages of a client, as they would begin a session with pydevd or with debugpy's adapter.
HANDSHAKE = b"".join(
    wire.encode(wire.request(command, arguments), seq)
    for seq, (command, arguments) in enumerate(
        [
            ("initialize", {"adapterID": "debugpy"}),
            ("attach", {"stagedoorToken": "guessed"}),
            ("pydevdAuthorize", {"debugServerAccessToken": "guessed"}),
            ("evaluate", {"expression": "__import__('os').getpid()"}),
        ],
        1,
    )
)


class OutsideServer(GatedServer):
    """Its debug port is not local."""

    debug_host = "0.0.0.0"


class Session:
    """A server of two workers during a session: a client is attached, and a request is paused in each worker."""

    def __init__(self, folder: Path, kind: type[GatedServer]) -> None:
        self.server = kind(folder, "gunicorn", options="workers=2 threads=4", DATABASE_PASSWORD=SECRET)
        try:
            self.window = self.server.open()
            self.server.joined()
            self.ide = self.server.ide("view")
            self.workers: set[int] = set()
            while len(self.workers) < 2:
                request = self.server.start_get("/view?mine", ALLOWED)
                stop = self.ide.stopped()
                pid = int(stop.session.evaluate("os.getpid()", stop.frame()["id"]))
                if pid in self.workers:
                    stop.resume()
                    request.answer()
                self.workers.add(pid)
            [self.gatekeeper] = self.server.gatekeepers()
        except BaseException:
            self.server.stop()
            raise
        self.pids = [self.server.process.pid, *self.workers, self.gatekeeper]

    def listening(self) -> list[Listening]:
        """Every listening socket of every process of ours, but those that the server had before."""
        own = [(self.server.host, self.server.port), str(self.server.runtime / "gunicorn.ctl")]
        return [found for found in listening(self.pids) if found.address not in own]


@pytest.fixture(scope="module", params=[GatedServer, OutsideServer], ids=["local", "outside"])
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    running = Session(tmp_path_factory.mktemp("session"), request.param)
    yield running
    running.server.stop()
    print(running.server.log)


def said_to(connection: socket.socket, data: bytes) -> bytes:
    """What comes back, until the peer hangs up or says no more."""
    connection.settimeout(1)
    received = b""
    try:
        connection.sendall(data)
        while piece := connection.recv(65536):
            received += piece
    except OSError:
        pass
    return received


def messages(received: bytes) -> list[wire.Message]:
    return list(wire.Decoder().feed(received))


# What can be connected to


def test_nothing_listens_but_the_debug_port_and_the_control_socket(session: Session) -> None:
    server = session.server
    expected = {
        Listening((session.gatekeeper,), (server.debug_host, server.debug_port)),
        Listening((session.gatekeeper,), str(server.control_path)),
    }
    assert set(session.listening()) == expected


def test_another_local_user_gets_a_refusal_and_nothing_else_from_any_tcp_port(session: Session) -> None:
    tried = 0
    for _, address in session.listening():
        if isinstance(address, tuple):
            tried += 1
            with socket.create_connection(("127.0.0.1", address[1]), 5, (STRANGER, 0)) as connection:
                initialized, *others = messages(said_to(connection, HANDSHAKE))
            assert (initialized["command"], initialized["success"]) == ("initialize", True)
            assert [(message["type"], message.get("success")) for message in others] == [("response", False)] * 3
    assert tried == 1


def test_the_servers_own_port_speaks_no_dap(session: Session) -> None:
    with socket.create_connection((session.server.host, session.server.port), 5, (STRANGER, 0)) as connection:
        assert b'"seq"' not in said_to(connection, HANDSHAKE)


def as_nobody(work: Callable[[], str]) -> str:
    """What ``work`` returns in a process of another user, or the name of the error that it ends in."""

    def become_and_work() -> str:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            return work()
        except OSError as error:
            return type(error).__name__

    return str(in_child(become_and_work))


def connecting_to(path: str, data: bytes) -> Callable[[], str]:
    def connect() -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            return said_to(connection, data).decode() or "nothing"

    return connect


@as_root
@forks
def test_no_other_user_can_connect_to_a_unix_socket(session: Session) -> None:
    paths = [found.address for found in session.listening() if isinstance(found.address, str)]
    assert paths
    for path in paths:
        assert not path.startswith("@")  # An abstract socket has no permissions.
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(Path(path).parent).st_mode) == 0o700
        assert as_nobody(connecting_to(path, b'{"status": {}}\n')) == "PermissionError"


@as_root
@forks
def test_another_user_who_could_connect_would_be_told_nothing() -> None:
    with RunningGatekeeper() as gatekeeper:
        gatekeeper.folder.chmod(0o755)
        path = gatekeeper.config.control
        os.chmod(path, 0o666)
        for line in (b'{"status": {}}\n', b'{"close": {}}\n', b'{"debuggee": {}}\n'):
            assert as_nobody(connecting_to(path, line)) == "nothing"
        assert gatekeeper.status()["workers"] == []


# What the gatekeeper has


def test_it_has_no_descriptor_that_is_not_its_own(session: Session) -> None:
    folder = Path(f"/proc/{session.gatekeeper}/fd")
    links = {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}
    assert [links[descriptor] for descriptor in (0, 1, 2)] == ["/dev/null"] * 3
    kinds = {link.partition(":")[0] for descriptor, link in links.items() if descriptor > 2}
    assert kinds == {"socket", "anon_inode"}  # The latter is its event loop's.
    others = set().union(*(socket_inodes(pid) for pid in session.pids if pid != session.gatekeeper))
    assert socket_inodes(session.gatekeeper) & others == set()
    # The debug port and the one at the other localhost, the control socket, the event loop's own pair, and a control and a
    # debugger's connection for each worker; the client has one.
    assert len(socket_inodes(session.gatekeeper)) == 2 + 1 + 2 + 2 * 2 + 1


def test_its_surroundings_are_its_own(session: Session) -> None:
    assert os.readlink(f"/proc/{session.gatekeeper}/cwd") == "/"
    assert os.getsid(session.gatekeeper) not in {os.getsid(pid) for pid in (session.server.process.pid, os.getpid())}
    assert os.getpgid(session.gatekeeper) != os.getpgid(session.server.process.pid)
    status = Path(f"/proc/{session.gatekeeper}/status").read_text()
    parent = re.search(r"^PPid:\s+(\d+)$", status, re.MULTILINE)
    assert parent is not None
    assert int(parent[1]) not in {*session.workers, session.server.process.pid}
    blocked = re.search(r"^SigBlk:\s+([0-9a-f]+)$", status, re.MULTILINE)
    assert blocked is not None
    assert int(blocked[1], 16) == 0


def test_its_environment_has_nothing_of_the_applications(session: Session) -> None:
    environment = Path(f"/proc/{session.gatekeeper}/environ").read_bytes().decode()
    names = {entry.partition("=")[0] for entry in environment.split("\0") if entry}
    allowed = {"PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH"}
    assert names <= allowed
    assert SECRET not in environment


def test_the_token_is_in_no_command_line_no_environment_and_no_log(session: Session) -> None:
    token = session.window.token
    for pid in session.pids:
        assert token.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
    assert token not in session.server.log


def test_signals_that_the_server_has_blocked_reach_it() -> None:
    """uWSGI starts its threads with every signal blocked, and a mask is inherited."""
    with RunningGatekeeper() as example:
        other = replace(example.config, bind=f"127.0.0.1:{free_port()}", control=f"{example.config.control}-other")
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            started = start_gatekeeper(other, example.window)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        try:
            os.kill(started, signal.SIGTERM)
            wait_for(lambda: not Path(f"/proc/{started}").exists(), "the gatekeeper to end", timeout=3)
        except BaseException:
            os.kill(started, signal.SIGKILL)
            raise


def test_it_starts_though_a_child_of_the_worker_has_the_other_end_of_its_input() -> None:
    """One that the application has forked in that moment."""
    with RunningGatekeeper() as example:
        other = replace(example.config, bind=f"127.0.0.1:{free_port()}", control=f"{example.config.control}-other")
        command = [sys.executable, "-m", "stagedoor.gatekeeper"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
            assert started.stdin is not None
            assert started.stdout is not None
            started.stdin.write(other.dump(example.window) + "\n")
            started.stdin.flush()
            assert started.stdout.readline() == "ready\n"
            connection = ControlConnection(Path(other.control))
            connection.ask({"close": {}}, timeout=2)
            connection.close()
            wait_for(lambda: not Path(other.control).exists(), "the gatekeeper to end")


def start_gatekeeper(config: GatekeeperConfig, window: Window) -> int:
    """Start one as a worker does; returns its process id."""
    asked = subprocess.run(
        [sys.executable, "-m", "stagedoor.gatekeeper"],
        input=config.dump(window),
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert asked.stdout == "ready\n", asked.stdout + asked.stderr
    connection = ControlConnection(Path(config.control))
    try:
        return int(connection.ask({"status": {}}, timeout=2)["status"]["pid"])
    finally:
        connection.close()
