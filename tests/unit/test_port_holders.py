"""Whose a debug port is, and who could be first at a Unix socket's path: decisions as tables."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from stagedoor.gatekeeper.port_holders import Holders, holders, meets, not_private, sorted_out, told, why_burnt
from stagedoor.gatekeeper.tcp_table import TcpSocket, canonical
from stagedoor.settings.bind import parse_bind
from support.other_user import NOBODY, THIEF, OtherUser, as_root
from support.servers import free_port

OWN, OTHER, ROOT = 1000, 1001, 0
in_the_table = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's tables are read from /proc")


def at(host: str, uid: int, *, is_held: bool = True) -> TcpSocket:
    return TcpSocket(host, 5678, "0.0.0.0", 0, uid, is_held)


MEETINGS = [
    ("127.0.0.1", "127.0.0.1", True),
    ("127.0.0.1", "127.0.0.2", False),
    ("127.0.0.1", "0.0.0.0", True),
    ("127.0.0.1", "::", True),
    ("127.0.0.1", "::1", True),
    ("127.0.0.1", "198.51.100.1", False),
    ("127.0.0.2", "::1", False),
    ("::1", "127.0.0.1", True),
    ("::1", "::", True),
    ("::1", "0.0.0.0", True),
    ("0.0.0.0", "198.51.100.1", True),
    ("0.0.0.0", "127.0.0.1", True),
    ("::", "127.0.0.1", True),
    ("198.51.100.1", "127.0.0.1", False),
    ("198.51.100.1", "0.0.0.0", True),
]


@pytest.mark.parametrize(("host", "other", "expected"), MEETINGS)
def test_which_sockets_meet_the_debug_port(host: str, other: str, expected: bool) -> None:
    assert meets(host, other) is expected


SOCKETS = {
    "127.0.0.1": "127.0.0.1",
    "::ffff:10.0.0.1": "10.0.0.1",
    "fe80::1%eth0": "fe80::1",
    "2001:0DB8::0:7": "2001:db8::7",
    "::1.2.3.4": "::1.2.3.4",
}


@pytest.mark.parametrize(("given", "expected"), SOCKETS.items())
def test_a_socket_and_the_setting_spell_an_address_in_one_way(given: str, expected: str) -> None:
    assert canonical(given) == expected
    assert ":" not in expected or parse_bind(f"[{expected}]:5678").host == expected


SORTED = [
    ("nobody", [], Holders()),
    ("this user", [at("127.0.0.1", OWN)], Holders(own=True)),
    ("another user", [at("127.0.0.1", OTHER)], Holders(frozenset({(OTHER, "127.0.0.1")}))),
    ("another user on all addresses", [at("::", OTHER)], Holders(frozenset({(OTHER, "::")}))),
    ("another user on another address", [at("127.0.0.9", OTHER)], Holders()),
    ("root, whose socket may serve somebody else", [at("0.0.0.0", ROOT)], Holders(frozenset({(ROOT, "0.0.0.0")}))),
    ("the end of a connection of nobody's", [at("127.0.0.1", ROOT, is_held=False)], Holders(ending=True)),
    ("both", [at("127.0.0.1", OWN), at("::1", OTHER)], Holders(frozenset({(OTHER, "::1")}), own=True)),
]  # fmt: skip


@pytest.mark.parametrize(("sockets", "expected"), [row[1:] for row in SORTED], ids=[row[0] for row in SORTED])
def test_who_has_sockets_there(sockets: list[TcpSocket], expected: Holders) -> None:
    assert sorted_out(sockets, "127.0.0.1", OWN) == expected


THIEVES = Holders(frozenset({(OTHER, "127.0.0.1")}))
VERDICTS = [
    ("this user's own", Holders(own=True), Holders(own=True), None),
    ("this user's own, and gone since", Holders(own=True), Holders(), None),
    ("this user's own, which came meanwhile", Holders(), Holders(own=True), None),
    ("connections of nobody's", Holders(ending=True), Holders(ending=True), None),
    ("somebody else's", THIEVES, THIEVES, "another user's process"),
    ("somebody else's, and gone since", THIEVES, Holders(), "another user's process"),
    ("somebody else's, which came meanwhile", Holders(), THIEVES, "another user's process"),
    ("somebody else's after this user's own", Holders(own=True), THIEVES, "another user's process"),
    ("taken, and nobody to be seen", Holders(), Holders(), "does not show"),
    ("the system does not tell", None, None, "does not tell"),
    ("the system does not tell any more", Holders(own=True), None, "does not tell"),
]


@pytest.mark.parametrize(("before", "after", "why"), [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS])
def test_when_a_port_that_was_taken_burns_the_token(
    before: Holders | None, after: Holders | None, why: str | None
) -> None:
    found = why_burnt(before, after)
    assert found is None if why is None else why in str(found)


@as_root
@in_the_table
@pytest.mark.parametrize(("host", "only"), [("127.0.0.1", 0), ("0.0.0.0", 0), ("::1", 0), ("::", 0), ("::", 1)])
def test_a_listener_of_another_user_is_seen(host: str, only: int) -> None:
    port = free_port()
    with OtherUser(THIEF, host, port, only) as thief:
        thief.says("listening")
        found = holders("127.0.0.1", port)
        assert found == Holders(frozenset({(NOBODY, host)}))
        assert f"uid {NOBODY}) has it at {host}" in told(found.others)
        thief.tell()
        thief.says("gone")
        assert holders("127.0.0.1", port) == Holders()


@in_the_table
def test_a_listener_of_this_user_is_its_own() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        assert holders("127.0.0.1", listener.getsockname()[1]) == Holders(own=True)


# Unix sockets


def test_a_directory_of_this_users_is_private(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert not_private(tmp_path) is None
    assert not_private(tmp_path / "not" / "there" / "yet") is None


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777, 0o1775, 0o757])
def test_one_that_others_can_write_to_is_not(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    assert f"other users can write to {tmp_path} (mode {mode:04o})" in str(not_private(tmp_path))


def test_one_below_such_a_directory_is_not_for_it_could_be_replaced(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir(mode=0o700)
    tmp_path.chmod(0o777)
    assert str(tmp_path) in str(not_private(inner))
    tmp_path.chmod(0o1777)  # In a directory as /tmp nobody can rename what is another's.
    assert not_private(inner) is None


def test_one_that_anybody_could_make_is_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    for missing in (tmp_path / "shop", tmp_path / "shop" / "run"):
        assert f"other users can write to {tmp_path}" in str(not_private(missing))
    (tmp_path / "shop").mkdir(mode=0o700)
    assert not_private(tmp_path / "shop" / "run") is None


def test_one_behind_a_link_that_others_could_change_is_not(tmp_path: Path) -> None:
    private, public = tmp_path / "private", tmp_path / "public"
    private.mkdir(mode=0o700)
    public.mkdir()
    (public / "link").symlink_to("../private")
    (tmp_path / "second").symlink_to(public / "link")
    assert not_private(tmp_path / "second") is None
    public.chmod(0o777)
    assert str(public) in str(not_private(tmp_path / "second"))


@as_root
@pytest.mark.parametrize("what", ["directory", "link"])
def test_one_of_another_users_is_not(tmp_path: Path, what: str) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    other = private if what == "directory" else tmp_path / "link"
    if what == "link":
        other.symlink_to(private)
    os.chown(other, NOBODY, NOBODY, follow_symlinks=False)
    assert f"{other} belongs to uid {NOBODY}" in str(not_private(other))


def test_links_that_lead_to_each_other_are_not_followed_for_ever(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert "too many symbolic links" in str(not_private(tmp_path / "one"))
