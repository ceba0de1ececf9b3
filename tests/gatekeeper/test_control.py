"""The control socket: its place, its wire format, and the end that workers and commands hold."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.control import place
from stagedoor.control.connection import ControlConnection
from stagedoor.control.place import (
    ControlError,
    is_foreign,
    path_beside,
    private_directory,
    socket_path,
    within_reach,
)
from stagedoor.control.protocol import LINE_CAP, decode, encode
from stagedoor.errors import ConfigurationError
from stagedoor.settings.settings import Settings
from support.forks import forks
from support.waiting import wait_for

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)

# The wire format


@given(st.dictionaries(st.text(st.characters(codec=None)), JSON))
def test_what_is_written_is_read_back(message: dict[str, object]) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert decode(line) == message


@given(st.binary() | JSON.map(json.dumps).map(str.encode))
def test_reading_raises_nothing_but_a_control_error(line: bytes) -> None:
    with suppress(ControlError):
        assert isinstance(decode(line), dict)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"1" * 100_000, b'{"a": ' * 50_000], ids=["lists", "digits", "deep"])
def test_a_line_made_to_break_the_reader_is_refused(line: bytes) -> None:
    with pytest.raises(ControlError):
        decode(line)


def test_a_line_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(ControlError, match=f"the longest is {LINE_CAP}"):
        encode({"console": "x" * LINE_CAP})


# Its place


def test_without_a_file_switch_and_port_together_say_where_it_is(tmp_path: Path) -> None:
    places = {
        socket_path(Path("/run/user/1000/stagedoor"), bind, switch)
        for bind in ("127.0.0.1:5678", "127.0.0.1:5679")
        for switch in ("the environment switch", "the memory switch")
    }
    assert len(places) == 4
    assert {place.parent for place in places} == {Path("/run/user/1000/stagedoor")}


def test_a_place_that_no_socket_can_have_is_refused_with_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="XDG_RUNTIME_DIR") as caught:
        socket_path(Path("/" + "x" * 90), "127.0.0.1:5678", "memory")
    assert "shorter" in caught.value.remedy


@pytest.mark.parametrize("runtime", ["/run/user/1000", "/somewhere/else", ""])
def test_it_follows_a_file_switch_and_neither_the_runtime_directory_nor_the_port(
    monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    monkeypatch.setenv("TMPDIR", runtime)
    settings = Settings.read(switch="/srv/shop/window.json", bind="127.0.0.1:5679", environ={})
    assert settings.gatekeeper_config().control == "/srv/shop/window.json.d/control"


@pytest.mark.parametrize("length", [60, 100, 101, 108, 200])
def test_a_switch_with_a_long_path_has_its_socket_beside_it_all_the_same(tmp_path: Path, length: int) -> None:
    path = path_beside(tmp_path / ("x" * length))
    private_directory(path.parent)
    descriptors = len(os.listdir("/proc/self/fd"))
    with socket.socket(socket.AF_UNIX) as listener:
        with within_reach(path) as address:
            listener.bind(address)
        listener.listen()
        assert path.is_socket()
        connection = ControlConnection(path)
        connection.close()
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_its_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    made = private_directory(tmp_path / "run" / "stagedoor")
    assert made.stat().st_mode & 0o777 == 0o700
    assert private_directory(made) == made
    assert private_directory(made.parent) == made.parent, "and so are those above it that were missing"


def link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir(mode=0o700)
    path.symlink_to(path.parent / "elsewhere")


UNTRUSTED = {
    "others may look into it": lambda path: (path.mkdir(), path.chmod(0o750)),
    "it is a link": link,
    "it is a file": lambda path: path.touch(0o600),
    "it is below a file": lambda path: path.parent.rmdir() or path.parent.touch(),
}


@pytest.mark.parametrize("spoil", UNTRUSTED.values(), ids=UNTRUSTED.keys())
def test_a_directory_that_cannot_be_trusted_is_refused(tmp_path: Path, spoil: object) -> None:
    path = tmp_path / "run" / "stagedoor"
    path.parent.mkdir()
    spoil(path)  # type: ignore[operator]
    with pytest.raises(ControlError, match="XDG_RUNTIME_DIR"):
        private_directory(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stagedoor"
    path.mkdir(mode=0o700)
    os.chown(path, 65534, 65534)
    with pytest.raises(ControlError, match="must be a directory of this user's"):
        private_directory(path)


# The end that workers and commands hold


class Gatekeeper:
    """The other end: it says what a test tells it to, byte for byte."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connection: socket.socket | None = None

    def connected(self) -> ControlConnection:
        connection = ControlConnection(self.path)
        self._connection, _ = self._listener.accept()
        return connection

    def say(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(data)

    def hear(self, within: float | None = None) -> bytes:
        assert self._connection is not None
        self._connection.settimeout(within)
        return self._connection.recv(65536)

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


@pytest.fixture
def gatekeeper(tmp_path: Path) -> Iterator[Gatekeeper]:
    with closing(Gatekeeper(tmp_path / "control")) as running:
        yield running


def test_a_question_gets_the_first_line_and_leaves_the_rest_to_be_waited_for(gatekeeper: Gatekeeper) -> None:
    with closing(gatekeeper.connected()) as connection:
        gatekeeper.say(b'{"welcome": {"client": "off"}}\n{"client": "on"}\n')
        assert connection.ask({"hello": {}}, timeout=1) == {"welcome": {"client": "off"}}
        assert gatekeeper.hear() == b'{"hello":{}}\n'
        # Whoever waits for the descriptor itself finds it readable.
        assert list(connection.receive(1)) == [{"client": "on"}]


def test_an_answer_may_come_in_pieces(gatekeeper: Gatekeeper) -> None:
    with closing(gatekeeper.connected()) as connection:
        answer = b'{"status": {"pid": 1}}\n'

        def answer_slowly() -> None:
            for byte in answer:
                gatekeeper.say(bytes([byte]))

        threading.Thread(target=answer_slowly, daemon=True).start()
        assert connection.ask({"status": {}}, timeout=5) == {"status": {"pid": 1}}


def test_messages_may_come_in_pieces(gatekeeper: Gatekeeper) -> None:
    with closing(gatekeeper.connected()) as connection:
        gatekeeper.say(b'{"client": "on"}\n{"cli')
        assert list(connection.receive(1)) == [{"client": "on"}]
        gatekeeper.say(b'ent": "off"}\n')
        assert list(connection.receive(1)) == [{"client": "off"}]
        assert list(connection.receive(0)) == []


def test_an_answer_that_does_not_come_is_not_waited_for_longer_than_asked(gatekeeper: Gatekeeper) -> None:
    with closing(gatekeeper.connected()) as connection:
        gatekeeper.say(b'{"stat')
        with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
            connection.ask({"status": {}}, timeout=0.05)


def test_a_gatekeeper_that_is_gone_is_told_from_one_that_is_slow(gatekeeper: Gatekeeper) -> None:
    with closing(gatekeeper.connected()) as connection:
        gatekeeper.hang_up()
        with pytest.raises(EOFError):
            list(connection.receive(1))


@forks
@pytest.mark.parametrize("asks", [False, True], ids=["nothing said yet", "within a hello"])
def test_a_forked_child_does_not_keep_it(gatekeeper: Gatekeeper, asks: bool) -> None:
    """The gatekeeper notices the end of this process, though its child lives."""
    connection = gatekeeper.connected()

    def ask() -> None:
        with suppress(TimeoutError):
            connection.ask({"hello": {}}, 0.5)

    asking = threading.Thread(target=ask)
    if asks:
        asking.start()
        assert gatekeeper.hear() == b'{"hello":{}}\n'
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)  # Until the test is over.
        os._exit(0)
    try:
        if asks:
            asking.join(5)
        connection.close()
        assert gatekeeper.hear(within=5) == b""
    finally:
        os.close(writing)
        os.close(reading)
        os.waitpid(child, 0)


def read_on(connection: ControlConnection) -> None:
    while list(connection.receive(1)) == []:
        pass


NONSENSE = {
    "not JSON": b"HTTP/1.1 400 Bad Request\r\n",
    "no object": b"[1]\n",
    "an endless line": b"x" * (LINE_CAP + 2),
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_ends_the_connection_with_an_error_of_ours(gatekeeper: Gatekeeper, data: bytes) -> None:
    with closing(gatekeeper.connected()) as connection:
        threading.Thread(target=gatekeeper.say, args=(data,), daemon=True).start()
        with pytest.raises(ControlError):
            read_on(connection)


def test_a_server_with_thousands_of_descriptors_is_no_problem(gatekeeper: Gatekeeper) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1024 + 100
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this system allows {hard} descriptors, fewer than select() has trouble with")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    taken: list[int] = []
    try:
        while not taken or taken[-1] < 1024:
            taken.append(os.dup(0))
        with closing(gatekeeper.connected()) as connection:
            assert connection.fileno() > 1024
            gatekeeper.say(b'{"client": "on"}\n')
            assert list(connection.receive(1)) == [{"client": "on"}]
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_gatekeeper_is_an_error_of_the_operating_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ControlConnection(tmp_path / "nobody")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user too")
def test_nothing_is_said_to_another_users_process() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = Path(folder) / "control"
        child = os.fork()
        if child == 0:
            try:
                os.setuid(65534)
                with socket.socket(socket.AF_UNIX) as listener:
                    listener.bind(str(path))
                    listener.listen()
                    listener.accept()
                    signal.pause()
            finally:
                os._exit(0)
        try:
            wait_for(lambda: _listens(path), "the other user's process to listen")
            with pytest.raises(ControlError, match="belongs to another user"):
                ControlConnection(path)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def test_the_kernel_tells_who_the_peer_is() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if not hasattr(socket, "SO_PEERCRED"):
            assert place.peer_credentials(ours) is None
        else:
            assert place.peer_credentials(ours) == (os.getpid(), os.geteuid())


OWN = os.geteuid()
PEERS = {
    "this user": ((4242, OWN), False),
    "this user, in another container": ((0, OWN), False),
    "root, who can do all that this user can": ((1, 0), False),
    "another user": ((4242, OWN + 1), True),
    "nobody": ((4242, 65534), True),
    "the kernel does not tell": (None, False),
}


@pytest.mark.parametrize(("credentials", "expected"), PEERS.values(), ids=PEERS)
def test_whose_process_a_peer_is(credentials: tuple[int, int] | None, expected: bool) -> None:
    assert is_foreign(credentials) is expected
