"""The debug port's door: who is let in, and that nobody can shut it for others."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from conftest import Start
from stagedoor.access.passes import make_passes
from stagedoor.dap import wire
from stagedoor.dap.client import DapClient, RequestFailed, WaitFailed
from stagedoor.gatekeeper.listener import Listener
from stagedoor.gatekeeper.patience import FOREGROUND, Patience
from support.network import ALLOWED_OUTSIDE, SERVER, STRANGER_OUTSIDE, Network, network_of_its_own
from support.scripted import RunningGatekeeper
from support.servers import ALLOWED
from support.waiting import wait_for

#: A loopback address that is not on the allowlist.
STRANGER = "127.0.0.9"

#: How many messages are read of a peer that has not attached.
SPOKEN = FOREGROUND.handshake_messages


@pytest.fixture(scope="module")
def gatekeeper() -> Iterator[RunningGatekeeper]:
    with RunningGatekeeper() as running:
        yield running


@pytest.fixture(scope="module")
def strict() -> Iterator[RunningGatekeeper]:
    """One that asks for the token of everybody."""
    with RunningGatekeeper(require_token=True) as running:
        yield running


@pytest.fixture
def network() -> Iterator[Network]:
    with network_of_its_own() as made:
        yield made


@pytest.fixture
def outside(network: Network) -> Iterator[RunningGatekeeper]:
    """One whose port is on an outside interface, and peers that really come from outside."""
    with RunningGatekeeper(host="0.0.0.0", allow=(ALLOWED_OUTSIDE, SERVER, ALLOWED)) as running:
        yield running


@pytest.fixture
def elsewhere(network: Network) -> Iterator[RunningGatekeeper]:
    """The same for others."""
    with RunningGatekeeper(host="0.0.0.0", allow=(ALLOWED_OUTSIDE,)) as running:
        yield running


def silence(connection: socket.socket, seconds: float = 5.0) -> bytes:
    """What a connection gives until it is closed."""
    connection.settimeout(seconds)
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    return received


def connected(gatekeeper: RunningGatekeeper, source: str = STRANGER) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gatekeeper.port), 5, (source, 0))


def from_outside(network: Network, gatekeeper: RunningGatekeeper, source: str) -> socket.socket:
    with network.outside():
        return socket.create_connection((SERVER, gatekeeper.port), 5, (source, 0))


# Who may attach

NO_TOKEN, WRONG_TOKEN = "no token came from", "wrong token: 43 characters expected"
OLD_TOKEN = "wrong token: 43 characters came from 127.0.0.9, as expected, but not these"

#: Which gatekeeper, from where, with which token ("{}" is the right one), and what is said if that is refused.
ATTACHES = [
    pytest.param("gatekeeper", STRANGER, "{}", None, id="the end of a tunnel with the token"),
    pytest.param("gatekeeper", STRANGER, "{} ", None, id="the end of a tunnel, the token and a blank"),
    pytest.param("gatekeeper", STRANGER, "{}\r\n", None, id="the end of a tunnel, the token and a line end"),
    pytest.param("gatekeeper", STRANGER, '"{}"', None, id="the end of a tunnel, the token in quotes"),
    pytest.param("gatekeeper", STRANGER, None, NO_TOKEN, id="the end of a tunnel without a token"),
    pytest.param("gatekeeper", STRANGER, "wrong", WRONG_TOKEN, id="the end of a tunnel, a wrong token"),
    pytest.param("gatekeeper", STRANGER, "{}x", f"{WRONG_TOKEN}, 44 came", id="the end of a tunnel, one letter more"),
    pytest.param("gatekeeper", STRANGER, "", f"{WRONG_TOKEN}, 0 came", id="the end of a tunnel, an empty token"),
    pytest.param("gatekeeper", STRANGER, "x" * 43, OLD_TOKEN, id="the end of a tunnel, an old token"),
    pytest.param("gatekeeper", ALLOWED, "{}", None, id="loopback on the allowlist with the token"),
    pytest.param("gatekeeper", ALLOWED, None, NO_TOKEN, id="loopback on the allowlist without a token"),
    pytest.param("gatekeeper", ALLOWED, "wrong", WRONG_TOKEN, id="loopback on the allowlist, a wrong token"),
    pytest.param("strict", ALLOWED, "{}", None, id="loopback on the allowlist, require_token, and the token"),
    pytest.param("strict", ALLOWED, None, NO_TOKEN, id="loopback on the allowlist, require_token, and no token"),
    pytest.param("strict", STRANGER, "{}", None, id="the end of a tunnel, require_token, and the token"),
    pytest.param("outside", ALLOWED_OUTSIDE, None, None, id="an allowed address from outside"),
    pytest.param("outside", ALLOWED_OUTSIDE, "wrong", None, id="an allowed address from outside, whatever its token"),
    pytest.param("outside", STRANGER, "{}", None, id="the end of a tunnel to an outside port with the token"),
    pytest.param("outside", STRANGER, None, NO_TOKEN, id="the end of a tunnel to an outside port without a token"),
    pytest.param("outside", ALLOWED, None, NO_TOKEN, id="loopback on the allowlist at an outside port, no token"),
    pytest.param("outside", SERVER, None, NO_TOKEN, id="the server's own address, which is allowed, without a token"),
    pytest.param("outside", SERVER, "{}", None, id="the server's own address with the token"),
    pytest.param("elsewhere", SERVER, None, NO_TOKEN, id="the server's own address, not allowed, without a token"),
    pytest.param("elsewhere", SERVER, "{}", None, id="the server's own address, not allowed, with the token"),
]


@pytest.mark.parametrize(("which", "source", "token", "refusal"), ATTACHES)
def test_attaching(
    request: pytest.FixtureRequest, which: str, source: str, token: str | None, refusal: str | None
) -> None:
    running: RunningGatekeeper = request.getfixturevalue(which)
    arguments = {} if token is None else {"stagedoorToken": token.replace("{}", running.window.token)}
    if source == ALLOWED_OUTSIDE:
        network: Network = request.getfixturevalue("network")
        with network.outside():
            client = DapClient((SERVER, running.port), timeout=5, source_address=(source, 0))
    else:
        host = SERVER if source == SERVER else "127.0.0.1"
        client = DapClient((host, running.port), timeout=5, source_address=(source, 0))
    with client:
        if refusal is None:
            client.attach(arguments=arguments)
            client.disconnect()
            return
        with pytest.raises(RequestFailed) as caught:
            client.attach(arguments=arguments)
    assert caught.value.command == "attach"
    assert f"refuses to attach: {refusal}" in caught.value.sentence
    assert "`stagedoor status` shows it" not in caught.value.sentence, "no command reaches the tests' switch"
    assert caught.value.body["error"]["showUser"] is True
    told = str(caught.value.body)
    assert running.window.token not in told
    assert [entry for entry in running.config.allow if entry != source and entry in told] == []


@pytest.mark.parametrize("which", ["gatekeeper", "strict"])
@pytest.mark.parametrize("source", [STRANGER, ALLOWED])
def test_attaching_with_a_pass(request: pytest.FixtureRequest, which: str, source: str) -> None:
    running: RunningGatekeeper = request.getfixturevalue(which)
    anna = make_passes("anna", running.window.token)
    with pytest.raises(RequestFailed) as caught:
        running.attach(source, stagedoorToken=anna.request)
    assert caught.value.sentence == (
        f'Stagedoor refuses to attach: {source} brought anna\'s pass "request": a client attaches with the other one of'
        " `stagedoor pass anna`."
    )
    with pytest.raises(RequestFailed, match="a pass of anna's that is none of this window's"):
        running.attach(source, stagedoorToken=make_passes("anna", "x" * 43).attach)
    running.attach(source, stagedoorToken=f"{anna.attach}\n").disconnect()


def test_a_refused_client_gets_no_second_attempt_on_its_connection(gatekeeper: RunningGatekeeper) -> None:
    client = gatekeeper.connect(STRANGER)
    with pytest.raises(RequestFailed, match="wrong token"):
        client.attach(arguments={"stagedoorToken": "wrong"})
    with pytest.raises(RequestFailed, match="This session is over"):
        client.request("attach", {"stagedoorToken": gatekeeper.window.token})
    client.wait_closed(2)


def test_who_talks_instead_of_attaching_is_hung_up_on(gatekeeper: RunningGatekeeper) -> None:
    """A thousand small requests in one packet, on each of a few connections, kept everybody else waiting for seconds."""
    talk = b"".join(wire.encode(wire.request("threads", None), number) for number in range(1, 3 * SPOKEN))
    with socket.create_connection(("127.0.0.1", gatekeeper.port), 5) as peer, peer.makefile("rb") as answers:
        with suppress(OSError):
            peer.sendall(talk)
        decoder, told = wire.Decoder(), 0
        with suppress(ConnectionResetError):
            while block := answers.read1():
                told += len(list(decoder.feed(block)))
    assert told <= SPOKEN
    gatekeeper.attach().disconnect()


def test_many_attempts_in_one_packet_are_one_attempt(gatekeeper: RunningGatekeeper) -> None:
    tokens = [f"guess-{number}" for number in range(50)] + [gatekeeper.window.token]
    client = gatekeeper.connect(STRANGER)
    client.request("initialize", {"adapterID": "debugpy"})
    attempts = [client.send("attach", {"stagedoorToken": token}) for token in tokens]
    refusals = []
    for attempt in attempts:
        with pytest.raises(RequestFailed) as caught:
            client.wait_response(attempt)
        refusals.append(caught.value.sentence)
    assert "wrong token" in refusals[0]
    assert set(refusals[1:]) == {"This session is over."}


# Who may not even speak


def test_a_peer_that_is_not_allowed_gets_no_byte_and_is_recorded(network: Network, outside: RunningGatekeeper) -> None:
    worker = outside.worker()
    for _ in range(3):
        with from_outside(network, outside, STRANGER_OUTSIDE) as peer:
            assert silence(peer) == b""
    worker.wait_told(lambda message: "audit" in message, "an audit record")
    allowed = ", ".join(outside.config.allow)
    sentence = f"refused: debug port: {STRANGER_OUTSIDE} is not on the allowlist; allowed: {allowed}"
    wait_for(lambda: outside.status()["refused"][0]["times"] == 3, "all three to be counted")
    assert worker.audit() == [sentence]  # Once: a scan must not fill the log.
    [refused] = outside.status()["refused"]
    assert (refused["address"], refused["reason"]) == (STRANGER_OUTSIDE, "address")
    worker.close()


def test_the_right_token_is_of_no_use_there(network: Network, outside: RunningGatekeeper) -> None:
    with network.outside():
        stranger = DapClient((SERVER, outside.port), timeout=5, source_address=(STRANGER_OUTSIDE, 0))
    with stranger, pytest.raises((WaitFailed, OSError)):
        stranger.attach(arguments={"stagedoorToken": outside.window.token})


def test_a_log_is_not_filled_by_a_flood_of_addresses(network: Network, outside: RunningGatekeeper) -> None:
    worker = outside.worker()
    for number in range(60):
        with from_outside(network, outside, f"203.0.113.{number + 100}") as peer:
            assert silence(peer) == b""
    assert len(worker.audit()) <= 10
    assert len(outside.status()["refused"]) == 20
    worker.close()


# Whoever says something else

NONSENSE = {
    "nothing, and hangs up": b"",
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: staging\r\n\r\n",
    "a browser's request with a message for a body": b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "half a header": b"Content-Le",
    "a header without an end": b"Content-Length: " + b"1" * 100,
    "two megabytes of header": b"A" * 2_000_000,
    "a body that is announced too large": b"Content-Length: 2000000\r\n\r\n",
    "a body that is too large for whoever has not attached": b"Content-Length: 100000\r\n\r\n",
    "half a body": b'Content-Length: 100\r\n\r\n{"seq": 1',
    "a body that is no JSON": b"Content-Length: 4\r\n\r\nnope",
    "an event": b'Content-Length: 38\r\n\r\n{"seq":1,"type":"event","event":"nop"}',
    "an answer to nothing": b"Content-Length: 77\r\n\r\n"
    b'{"seq":1,"type":"response","request_seq":1,"success":true,"command":"attach"}',
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_does_no_harm(gatekeeper: RunningGatekeeper, data: bytes) -> None:
    with connected(gatekeeper, ALLOWED) as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # It hung up on us first.
        assert silence(peer) == b""
    gatekeeper.attach().disconnect()


def test_a_port_scan_does_no_harm(gatekeeper: RunningGatekeeper) -> None:
    silent = [connected(gatekeeper) for _ in range(30)]
    for _ in range(100):
        connected(gatekeeper).close()
    gatekeeper.attach().disconnect()
    for peer in silent:
        peer.close()


EARLY = {"threads": "came before", "launch": "runs already", "evaluate": "came before", "stackTrace": "came before"}


@pytest.mark.parametrize("command", EARLY)
def test_nothing_but_attach_follows_initialize(gatekeeper: RunningGatekeeper, command: str) -> None:
    arguments = {"threadId": 1, "frameId": 1, "expression": "1"}
    with gatekeeper.connect() as client:
        with pytest.raises(RequestFailed, match='"initialize"'):
            client.request(command, arguments)
        client.request("initialize", {"adapterID": "debugpy"})
        with pytest.raises(RequestFailed, match=EARLY[command]):
            client.request(command, arguments)


def test_initializing_twice_is_refused_as_debugpy_does_it(gatekeeper: RunningGatekeeper) -> None:
    with gatekeeper.connect() as client:
        client.request("initialize", {"adapterID": "debugpy"})
        with pytest.raises(RequestFailed, match="Session is already initialized"):
            client.request("initialize", {"adapterID": "debugpy"})


def test_a_client_that_writes_uris_is_told_why_it_is_refused(gatekeeper: RunningGatekeeper) -> None:
    with gatekeeper.connect() as client, pytest.raises(RequestFailed, match='"pathFormat": "path"'):
        client.request("initialize", {"adapterID": "debugpy", "pathFormat": "uri"})


def test_who_leaves_before_attaching_gets_an_answer(gatekeeper: RunningGatekeeper) -> None:
    client = gatekeeper.connect()
    client.request("initialize", {"adapterID": "debugpy"})
    client.request("disconnect", {})
    client.wait_closed(2)


# Whoever keeps a connection open


def test_who_says_nothing_is_not_waited_for_for_long(start: Start) -> None:
    gatekeeper = start(patience=Patience(handshake=0.2, idle=None))
    attached = gatekeeper.attach()
    started = time.monotonic()
    with connected(gatekeeper, ALLOWED) as peer:
        assert silence(peer) == b""
    assert time.monotonic() - started >= 0.2
    attached.request("threads")  # It is attached, and may say nothing for as long as it likes.


def test_when_too_many_have_not_attached_the_one_that_has_waited_longest_gives_way(start: Start) -> None:
    gatekeeper = start(patience=Patience(waiting=3, idle=None))
    attached = gatekeeper.attach()
    silent = [connected(gatekeeper) for _ in range(3)]
    with DapClient(("127.0.0.1", gatekeeper.port), source_address=(ALLOWED, 0)) as fourth:
        fourth.request("initialize", {"adapterID": "debugpy"})
        assert silence(silent[0]) == b""
        with pytest.raises(TimeoutError):
            silence(silent[1], 0.05)
    attached.request("threads")
    for peer in silent:
        peer.close()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's timers are read from /proc")
def test_the_kernel_finds_out_when_a_peer_is_gone_for_good(gatekeeper: RunningGatekeeper) -> None:
    client = gatekeeper.attach()
    port = f":{gatekeeper.port:04X}"

    def timers() -> list[tuple[str, int]]:
        """Kind (02: keepalive; 01 while an answer is on its way) and hundredths of a second left."""
        sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = [fields[5].split(":") for fields in sockets if fields[1].endswith(port) and fields[3] == "01"]
        return [(kind, int(left, 16)) for kind, left in ours]

    wait_for(lambda: [kind for kind, _ in timers()] == ["02"], "a keepalive timer and no other")
    assert 0 < timers()[0][1] <= 1500
    client.disconnect()


# A Unix socket for a port


def test_a_unix_socket_wants_the_token_of_everybody(start: Start, tmp_path: Path) -> None:
    gatekeeper = start(bind=f"unix:{tmp_path}/debug")
    assert stat.S_IMODE(os.stat(tmp_path / "debug").st_mode) == 0o600
    with pytest.raises(RequestFailed, match="no token came from a peer on the Unix socket"):
        gatekeeper.connect().attach()
    gatekeeper.attach().disconnect()
    assert gatekeeper.ask({"close": {}}) == {"closed": "the gatekeeper ends"}
    assert gatekeeper.ended() == "The window was closed."
    assert not (tmp_path / "debug").exists()


def test_a_socket_that_a_killed_gatekeeper_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "debug"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with closing(Listener.unix(path)), socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))


def test_nothing_else_at_that_path_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "debug"
    path.write_text("precious")
    with pytest.raises(OSError, match="is no socket of this user's"):
        Listener.unix(path)
    assert path.read_text() == "precious"


def test_a_socket_that_somebody_listens_on_is_not_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "debug"
    with closing(Listener.unix(path)):
        with pytest.raises(OSError, match="Another process listens"):
            Listener.unix(path)
        assert path.exists()


def test_the_next_gatekeepers_socket_is_not_taken_away_by_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "debug"
    last = Listener.unix(path)
    path.unlink()
    with closing(Listener.unix(path)):
        last.close()
        assert path.exists()
    assert not path.exists()
