"""Allowlists that let in more than developers: what is said of them, by whom, and of which nothing is."""

from __future__ import annotations

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor import StageDoor
from stagedoor.access.allowlist import Allowlist
from stagedoor.access.openness import openness
from stagedoor.cli import main

EVERYBODY = "all of the internet's {} addresses"


def said_of(entries: str) -> str:
    return " ".join(openness(Allowlist(entries)))


@pytest.mark.parametrize(
    ("entries", "version"),
    [
        pytest.param("0.0.0.0/1, 128.0.0.0/1", "IPv4", id="two halves"),
        pytest.param("0.0.0.0/2 64.0.0.0/2 128.0.0.0/2 192.0.0.0/2", "IPv4", id="four quarters"),
        pytest.param("0.0.0.0-126.255.255.255 128.0.0.0-255.255.255.255", "IPv4", id="ranges, all but loopback"),
        pytest.param("0-99.*.*.* 100-255.*.*.*", "IPv4", id="globs"),
        pytest.param("1-223.*.*.*", "IPv4", id="one glob with all that clients can have"),
        pytest.param("0.0.0.0/1 128-191.*.*.* 192.0.0.0-255.255.255.255", "IPv4", id="a network, a glob and a range"),
        pytest.param("::ffff:0.0.0.0-::ffff:127.255.255.255 128.0.0.0/1", "IPv4", id="a half that is IPv4-mapped"),
        pytest.param("::/1 8000::/1", "IPv6", id="two halves of IPv6"),
        pytest.param("2000::/3", "IPv6", id="the global addresses of IPv6"),
        pytest.param(
            "2000::-2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3000::/4", "IPv6", id="an IPv6 range and a network"
        ),
    ],
)
def test_everybody_in_pieces_is_everybody(entries: str, version: str) -> None:
    assert EVERYBODY.format(version) in said_of(entries)


@pytest.mark.parametrize(
    ("entries", "share"),
    [
        pytest.param("0.0.0.0/1", "57% of the internet's IPv4", id="a half"),
        pytest.param("52.0.0.0/8 54.0.0.0/8", "0.9% of the internet's IPv4", id="a cloud"),
        pytest.param("2000::/4", "50% of the internet's IPv6", id="a half of IPv6"),
    ],
)
def test_a_great_part_of_everybody_is_said_with_its_share(entries: str, share: str) -> None:
    assert share in said_of(entries)


@pytest.mark.parametrize(
    ("entries", "entry"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", id="an address"),
        pytest.param("203.0.113.7 127.0.0.0/8", "127.0.0.0/8", id="all of it, as the second entry"),
        pytest.param("127.0.0.1-127.0.0.9", "127.0.0.1-127.0.0.9", id="a range"),
        pytest.param("127.*.*.*", "127.*.*.*", id="a glob"),
        pytest.param("126.0.0.0/7", "126.0.0.0/7", id="a network around it"),
        pytest.param("::1", "::1", id="IPv6"),
        pytest.param("::-::f", "::-::f", id="an IPv6 range around it"),
        pytest.param("::ffff:127.0.0.1", "127.0.0.1", id="an IPv4-mapped address"),
    ],
)
def test_loopback_is_said_with_its_entry(entries: str, entry: str) -> None:
    sentences = openness(Allowlist(entries))
    assert f"lets in loopback, by {entry}:" in sentences[-1]


@pytest.mark.parametrize(
    "entries",
    [
        "",
        "203.0.113.7, 2001:db8::/48",
        "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 169.254.0.0/16",
        "fd00::/8 fe80::/10 fc00::/7",
        "17.0.0.0/8",
        "2001:db8::/32 2a02:8000::/20",
        "126.0.0.0-126.255.255.255",
    ],
)
def test_of_what_developers_have_nothing_is_said(entries: str) -> None:
    assert openness(Allowlist(entries)) == []


@given(st.integers(1, 5).flatmap(lambda bits: st.permutations(range(2**bits))))
def test_however_many_pieces_there_are_and_in_whichever_order(order: list[int]) -> None:
    bits = len(order).bit_length() - 1
    entries = [f"{number << (8 - bits)}.0.0.0/{bits}" for number in order]
    assert EVERYBODY.format("IPv4") in said_of(" ".join(entries))
    entries.remove(f"0.0.0.0/{bits}")
    assert EVERYBODY.format("IPv4") not in said_of(" ".join(entries))


def app(environ: object, start_response: object) -> list[bytes]:
    return []


def test_it_is_logged_once_when_the_application_starts(caplog: pytest.LogCaptureFixture) -> None:
    door = StageDoor(app, allow="0.0.0.0/1, 128.0.0.0/1", switch="memory")
    for _ in range(3):
        door({"REMOTE_ADDR": "203.0.113.7"}, lambda *arguments: None)  # type: ignore[arg-type]
    told = [record for record in caplog.records if record.event == "trouble"]  # type: ignore[attr-defined]
    assert [record.levelno for record in told] == [logging.WARNING] * 2
    assert EVERYBODY.format("IPv4") in told[0].getMessage()
    assert "lets in loopback" in told[1].getMessage()


def test_nothing_is_logged_of_a_narrow_one(caplog: pytest.LogCaptureFixture) -> None:
    StageDoor(app, allow="203.0.113.7", switch="memory")
    assert caplog.records == []


def test_a_window_of_the_environment_that_nobody_can_attach_to_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STAGEDOOR_UNTIL", "2001-01-01T00:00:00Z")
    StageDoor(app, allow="203.0.113.7")
    assert caplog.records == [], "no window, no trouble"
    from stagedoor.window.window import SYSTEM_CLOCK, format_time

    soon = format_time(SYSTEM_CLOCK.now().replace(microsecond=0))
    monkeypatch.setenv("STAGEDOOR_UNTIL", re.sub(r"T.*", "T23:59:59Z", soon))
    monkeypatch.setenv("STAGEDOOR_MAX_WINDOW", "24h")
    StageDoor(app, allow="203.0.113.7", bind="203.0.113.1:5678")
    monkeypatch.setenv("STAGEDOOR_TOKEN", "a-token-of-thirty-two-characters")
    StageDoor(app, allow="203.0.113.7")
    assert caplog.records == []
    monkeypatch.delenv("STAGEDOOR_TOKEN")
    StageDoor(app, allow="203.0.113.7")
    assert "nobody can attach to 127.0.0.1:5678" in caplog.text


@pytest.mark.parametrize(
    ("allow", "address", "code", "said"),
    [
        pytest.param("0.0.0.0/1,128.0.0.0/1", "203.0.113.7", 0, "all of the internet's IPv4", id="everybody"),
        pytest.param("127.0.0.1", "203.0.113.7", 1, "lets in loopback, by 127.0.0.1", id="loopback"),
        pytest.param("203.0.113.7", "203.0.113.7", 0, None, id="a narrow one"),
    ],
)
def test_the_command_check_says_it_too(
    allow: str, address: str, code: int, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", address, "--allow", allow]) == code
    told = " ".join(capsys.readouterr().out.split())
    assert ("Warning:" in told) is (said is not None)
    assert (said or "") in told
