"""What ``status`` shows a person: whose requests are paused, where and for how long, within 80 columns."""

from __future__ import annotations

from typing import Any

import pytest

from stagedoor.cli import status
from stagedoor.settings.settings import Settings
from support.scripted import some_window


def request(label: str, place: str | None, seconds: float = 3.2) -> dict[str, Any]:
    return {"request": label, "worker": 4242, "paused": place is not None, "place": place, "seconds": seconds}


def session(owner: str, *requests: dict[str, Any]) -> dict[str, Any]:
    return {"owner": owner, "address": "2001:db8::7", "since": "14:02:11 UTC", "requests": list(requests)}


def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **told: Any) -> list[str]:
    usual = {"pid": 1, "bind": "127.0.0.1:5678", "allow": [], "sessions": [], "workers": [], "refused": []}
    monkeypatch.setattr(status, "gatekeeper_status", lambda settings: (usual | told, None))
    status.print_status(Settings.read(switch="memory", environ={}), some_window())
    return capsys.readouterr().out.splitlines()


def test_each_pause_stands_beneath_its_developer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(
        monkeypatch,
        capsys,
        sessions=[
            session("anna", request("GET /checkout", "shop.py:12", 63), request("GET /feed", None)),
            session("*", request("GET /basket", "shop.py:30")),
        ],
        workers=[
            {"pid": 4242, "seconds": 9, "joined": True, "joined_seconds": 8, "attached": True, "paused": [{}, {}]},
            {"pid": 4243, "seconds": 9, "joined": False, "joined_seconds": None, "attached": False, "paused": []},
        ],
    )
    first = next(number for number, line in enumerate(lines) if "anna" in line)
    assert lines[first:] == [
        "  attached    anna, from 2001:db8::7 since 14:02:11 UTC: 2 requests, 1 paused",
        "              paused for 1m3s in worker 4242: GET /checkout",
        "                at shop.py:12",
        "  attached    everybody, from 2001:db8::7 since 14:02:11 UTC: 1 request, 1",
        "              paused",
        "              paused for 3s in worker 4242: GET /basket",
        "                at shop.py:30",
        "  worker      4242, attached, joined 8s ago, 2 paused",
        "  worker      4243, not joined, known for 9s",
    ]


@pytest.mark.parametrize("label", ["GET /" + "long/" * 60, "GET /a\x1b[31m\n", "POST /é"], ids=repr)
def test_lines_have_80_columns_but_for_what_is_there_to_be_copied(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], label: str
) -> None:
    place = f"/srv/{'deep/' * 30}shop.py:12"
    lines = shown(monkeypatch, capsys, sessions=[session("a" * 32, *[request(label, place)] * 3)])
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)
    assert all(line.isprintable() for line in lines)
    assert sum(place in line for line in lines) == 3
