"""Nobody keeps developers out by holding connections: whose are counted together, and whose gives way."""

from __future__ import annotations

import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.dap import wire
from stagedoor.gatekeeper import crowd, tcp_table
from stagedoor.gatekeeper.crowd import Census, Peer, at_address, of_user, to_evict
from stagedoor.gatekeeper.patience import Patience
from support.other_user import CROWD, NOBODY, OtherUser, as_root
from support.scripted import RunningGatekeeper
from support.waiting import wait_for

in_the_table = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's tables are read from /proc")

ANNA, BEN, EVE = of_user(1001), of_user(1002), of_user(1003)
OFFICE = [at_address(f"198.51.100.{number}") for number in range(1, 6)]
HOME = at_address("203.0.113.7")

# The decision

CROWDS: list[tuple[str, list[Peer], int, int | None]] = [
    ("room for all", [EVE, EVE, ANNA], 3, None),
    ("one with many, another has just come", [EVE, EVE, EVE, ANNA], 3, 0),
    ("one with many who comes once more", [ANNA, EVE, EVE, EVE], 3, 1),
    ("the first to come has one only", [ANNA, EVE, EVE, BEN], 3, 1),
    ("everybody has one: the oldest", [ANNA, BEN, EVE, of_user(1004)], 3, 0),
    ("the one that has most has just come again: its oldest, not its newest", [ANNA, EVE, BEN, EVE], 3, 1),
    ("two with as many: the oldest of them", [ANNA, EVE, BEN, EVE, BEN, HOME], 5, 1),
    ("the same peer only: the oldest", [EVE, EVE, EVE], 2, 0),
    ("no room at all but for the newest", [ANNA, EVE], 1, 0),
    ("a network with many addresses counts as one", [HOME, *OFFICE], 5, 1),
    ("in a network the address that has most", [OFFICE[0], OFFICE[1], OFFICE[1], HOME], 3, 1),
    ("many addresses of one IPv6 network", [HOME, *(at_address(f"2001:db8::{n}") for n in range(1, 4))], 3, 1),
    ("those whose process is gone", [ANNA, crowd.GONE, crowd.GONE, ANNA, crowd.GONE], 4, 1),
]


@pytest.mark.parametrize(("waiting", "cap", "evicted"), [row[1:] for row in CROWDS], ids=[row[0] for row in CROWDS])
def test_who_gives_way(waiting: list[Peer], cap: int, evicted: int | None) -> None:
    assert to_evict(waiting, cap) == evicted


peers = st.one_of(
    st.integers(1000, 1004).map(of_user),
    st.tuples(st.integers(1, 3), st.integers(1, 4)).map(lambda pair: at_address(f"192.0.{pair[0]}.{pair[1]}")),
)


@given(st.lists(peers, min_size=2, max_size=40), st.integers(1, 30))
def test_it_is_the_oldest_of_whoever_has_most_and_never_the_newest(waiting: list[Peer], cap: int) -> None:
    evicted = to_evict(waiting, cap)
    if len(waiting) <= cap:
        assert evicted is None
        return
    assert evicted is not None
    assert evicted < len(waiting) - 1
    older = waiting[:-1]
    networks, each = Counter(peer[:1] for peer in waiting), Counter(waiting)
    most = max(networks[peer[:1]] for peer in older)
    assert networks[waiting[evicted][:1]] == most
    assert each[waiting[evicted]] == max(each[peer] for peer in older if networks[peer[:1]] == most)
    assert waiting.index(waiting[evicted]) == evicted or each[waiting[evicted]] == 1


@given(st.lists(peers, min_size=1, max_size=60), st.integers(2, 20), st.data())
def test_who_has_one_connection_keeps_it_whatever_one_other_does(
    others: list[Peer], cap: int, data: st.DataObject
) -> None:
    """Connections come one by one, and the one that gives way goes; a developer is somewhere among them."""
    attacker = [EVE] * len(others)
    attacker.insert(data.draw(st.integers(0, len(others))), ANNA)
    held: list[Peer] = []
    for peer in attacker:
        held.append(peer)
        evicted = to_evict(held, cap)
        if evicted is not None:
            del held[evicted]
    assert ANNA in held
    assert len(held) <= cap


# Who it is


@pytest.fixture(params=["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket, object]]:
    """Both ends of a connection, and what ``accept`` said of the peer."""
    host = request.param
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind((host if host != "::ffff:127.0.0.1" else "::", 0))
        listener.listen()
        client.connect((host, listener.getsockname()[1]))
        accepted, address = listener.accept()
        with accepted:
            yield accepted, client, address


@pytest.fixture(params=["by a question", "from the table"])
def census(request: pytest.FixtureRequest, pair: tuple[socket.socket, ...], monkeypatch: pytest.MonkeyPatch) -> Census:
    if request.param == "from the table":
        without_netlink(monkeypatch)
    return Census(pair[0].getsockname()[1])


def without_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a service manager that allows a process no such sockets."""

    def refused(*arguments: object) -> None:
        raise OSError("Address family not supported by protocol")

    monkeypatch.setattr(tcp_table, "owner", refused)


@in_the_table
def test_a_peer_on_this_machine_is_its_user(pair: tuple[socket.socket, socket.socket, object], census: Census) -> None:
    accepted, _, address = pair
    assert census.peer(accepted, address) == of_user(os.geteuid())


@in_the_table
def test_a_peer_that_has_closed_its_end_is_not_taken_for_root(
    pair: tuple[socket.socket, socket.socket, object], census: Census
) -> None:
    """The kernel gives user 0 for a socket that no process has any more."""
    accepted, client, address = pair
    client.close()
    assert census.peer(accepted, address) == crowd.GONE


@in_the_table
@as_root
@pytest.mark.parametrize("way", ["by a question", "from the table"])
def test_another_user_is_told_from_this_one(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "from the table":
        without_netlink(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with OtherUser(CROWD, port, 1, "") as other:
            other.says("connected")
            accepted, address = listener.accept()
            with accepted:
                assert Census(port).peer(accepted, address) == of_user(NOBODY)


@in_the_table
def test_the_table_is_not_read_for_each_connection_of_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading it takes long where there are 10,000 sockets."""
    without_netlink(monkeypatch)
    read, now = [], [1000.0]
    reading = tcp_table.sockets_to
    monkeypatch.setattr(tcp_table, "sockets_to", lambda port: read.append(port) or reading(port))
    with ExitStack() as held, socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        census = Census(port, clock=lambda: now[0])
        seen = []
        for _ in range(20):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
            accepted, address = listener.accept()
            held.enter_context(accepted)
            seen.append((census.peer(accepted, address), accepted, address))
        assert len(read) == 1
        assert [peer for peer, *_ in seen[1:]] == [crowd.UNKNOWN] * 19
        now[0] += 1
        assert crowd.UNKNOWN not in [census.peer(accepted, address) for _, accepted, address in seen]
        assert len(read) == 2


def test_a_unix_peer_is_its_user() -> None:
    one, other = socket.socketpair()
    with one, other:
        peer = Census(0).peer(one, "")
        assert peer[0].startswith("uid ") or peer == ("unix", "unix")


# For real

ATTACH = b"".join(
    wire.encode(wire.request(command, arguments), seq)
    for seq, (command, arguments) in enumerate(
        [("initialize", {"adapterID": "debugpy"}), ("attach", {"stagedoorToken": "a wrong one"})], 1
    )
)
SPOKEN = {
    "nothing": "",
    "half a header": "Content-Le",
    "an initialize and no more": wire.encode(wire.request("initialize", {"adapterID": "debugpy"}), 1).decode(),
    "a wrong token, and waits for the farewell": ATTACH.decode(),
}


@as_root
@in_the_table
@pytest.mark.parametrize("spoken", SPOKEN.values(), ids=SPOKEN.keys())
@pytest.mark.parametrize("when", ["before", "after"])
def test_another_users_connections_keep_nobody_out(spoken: str, when: str) -> None:
    with (
        RunningGatekeeper(patience=Patience(farewell=60.0, handshake=60.0, idle=None)) as gatekeeper,
        ExitStack() as users,
    ):
        developer = gatekeeper.connect() if when == "before" else None
        for _ in range(2):
            users.enter_context(OtherUser(CROWD, gatekeeper.port, 80, spoken)).says("connected")
        developer = developer or gatekeeper.connect()
        developer.request("initialize", {"adapterID": "debugpy"})
        # One more of theirs while the developer is about to attach.
        users.enter_context(OtherUser(CROWD, gatekeeper.port, 80, spoken)).says("connected")
        developer.send("attach", {"stagedoorToken": gatekeeper.window.token})
        developer.wait_event("initialized")


@as_root
@in_the_table
def test_a_flood_does_not_use_up_the_descriptors() -> None:
    def connections(gatekeeper: RunningGatekeeper) -> int:
        return sum(each.is_held for each in tcp_table.sockets_at(gatekeeper.port))

    with RunningGatekeeper() as gatekeeper, OtherUser(CROWD, gatekeeper.port, 700, "") as other:
        other.says("connected")
        wait_for(lambda: connections(gatekeeper) <= 1 + 64, "all but 64 connections to be closed")
        gatekeeper.attach(stagedoorToken=gatekeeper.window.token).disconnect()


@in_the_table
def test_many_clients_of_one_machine_still_have_their_turns() -> None:
    """All that a user opens are one peer: the oldest give way, and whoever comes attaches."""
    with RunningGatekeeper() as gatekeeper, ExitStack() as held:
        for _ in range(80):
            held.enter_context(closing(socket.create_connection(("127.0.0.1", gatekeeper.port), 5)))
        gatekeeper.attach().disconnect()
