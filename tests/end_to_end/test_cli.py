"""The commands, run as a person or a script runs them: as processes, on a real file."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stagedoor.access.passes import make_passes
from stagedoor.control.place import folder_beside
from stagedoor.switches import FileSwitch, user_name
from stagedoor.window.window import format_time, parse_time, window_id
from support.waiting import wait_for

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
KEYS = {
    "open",
    "opened_at",
    "expires_at",
    "seconds_left",
    "opened_by",
    "token",
    "switch",
    "bind",
    "allow",
    "user",
    "workers_seen",
    "application",
    "problem",
}

Result = subprocess.CompletedProcess[str]
Stagedoor = Callable[..., Result]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with these variables of Stagedoor and no others, and with output buffered."""
    others = ("STAGEDOOR_", "SUDO_", "PYTHONUNBUFFERED")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return kept | variables


@pytest.fixture
def switch(tmp_path: Path) -> FileSwitch:
    """The switch that the commands of a test use, as the application would open it."""
    return FileSwitch(tmp_path / "switch" / "window.json", max_window=timedelta(hours=8))


@pytest.fixture
def stagedoor(switch: FileSwitch) -> Stagedoor:
    """Runs a command; variables of its environment are keywords."""

    def run(*arguments: str, **variables: str) -> Result:
        settings = {"STAGEDOOR_SWITCH": str(switch.path)} | variables
        return subprocess.run(
            [sys.executable, "-m", "stagedoor", *arguments],
            env=environment(**settings),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def document(result: Result) -> dict[str, Any]:
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def says(result: Result, sentence: str) -> bool:
    """Whether it stands in the output, wherever lines are broken."""
    return " ".join(sentence.split()) in " ".join(result.stdout.split())


def is_one_line(text: str) -> bool:
    return text.startswith("stagedoor: ") and text.endswith(".\n") and text.count("\n") == 1


def fits_a_terminal(text: str) -> bool:
    """80 columns; a line of one word, such as a path, may be longer."""
    return all(len(line) <= 80 or len(line.split()) <= 2 for line in text.splitlines())


class TestOpen:
    def test_opens_a_window_for_the_application(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        result = stagedoor("open", "--for", "30m")
        assert (result.returncode, result.stderr) == (0, "")
        window = switch.read()
        assert window is not None
        assert window.expires_at - window.opened_at == timedelta(minutes=30)
        assert window.token in result.stdout
        assert says(result, "no worker: none has served a request since")
        assert str(switch.path) in result.stdout
        assert fits_a_terminal(result.stdout)

    def test_says_what_to_do_next(self, stagedoor: Stagedoor) -> None:
        result = stagedoor("open", "--for", "30m", "--bind", "127.0.0.1:6000")
        assert f"ssh -N -L 6000:127.0.0.1:6000 {socket.gethostname()}" in result.stdout
        assert '"stagedoor launch-json --bind 127.0.0.1:6000"' in result.stdout
        outside = stagedoor("open", "--for", "30m", STAGEDOOR_BIND="203.0.113.5:6000")
        assert "ssh" not in outside.stdout
        assert "203.0.113.5:6000" in outside.stdout

    def test_says_who_may_debug_only_where_it_knows(self, stagedoor: Stagedoor) -> None:
        assert "the application knows" in stagedoor("open", "--for", "30m").stdout
        allowed = stagedoor("open", "--for", "30m", STAGEDOOR_ALLOW="127.0.0.2")
        assert re.search(r"allowed +127\.0\.0\.2$", allowed.stdout, re.MULTILINE)

    def test_records_who_opened_it(self, stagedoor: Stagedoor) -> None:
        host = socket.gethostname()
        opened = document(stagedoor("open", "--for", "1m", "--json"))
        assert opened["opened_by"] == f"{getpass.getuser()}@{host}"
        stagedoor("close")
        with_sudo = document(stagedoor("open", "--for", "1m", "--json", SUDO_USER="alice"))
        assert with_sudo["opened_by"] == f"alice@{host}", "whom sudo -u was run by"

    def test_moves_the_end_of_an_open_window_and_keeps_its_token(self, stagedoor: Stagedoor) -> None:
        first = document(stagedoor("open", "--for", "30m", "--json"))
        later = document(stagedoor("open", "--for", "2h", "--json"))
        assert later["token"] == first["token"]
        assert later["expires_at"] > first["expires_at"]
        assert "A window was open, and has a new end." in stagedoor("open", "--for", "1h").stdout

    def test_prints_json_with_stable_keys(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        opened = document(stagedoor("open", "--for", "1h30m", "--json", STAGEDOOR_ALLOW="127.0.0.2 ::1"))
        assert set(opened) == KEYS
        assert opened["open"] is True
        assert all(RFC_3339.fullmatch(opened[key]) for key in ("opened_at", "expires_at"))
        assert parse_time(opened["expires_at"]) - parse_time(opened["opened_at"]) == timedelta(minutes=90)
        assert 5390 < opened["seconds_left"] <= 5400
        assert opened["switch"] == f"file:{switch.path}"
        assert opened["bind"] == "127.0.0.1:5678"
        assert opened["allow"] == ["127.0.0.2", "::1"]
        assert opened["problem"] is None
        assert (opened["user"], opened["workers_seen"], opened["application"]) == (user_name(), 0, None)

    def test_takes_the_switch_from_the_option_first(self, stagedoor: Stagedoor, tmp_path: Path) -> None:
        path = tmp_path / "other" / "window.json"
        assert stagedoor("open", "--for", "1m", "--switch", str(path), STAGEDOOR_UNTIL="nonsense").returncode == 0
        assert path.exists()

    @pytest.mark.parametrize(
        ("arguments", "variables", "said"),
        [
            pytest.param(["--for", "9h"], {}, "the longest allowed is 8h", id="longer than the longest window"),
            pytest.param(["--for", "2m"], {"STAGEDOOR_MAX_WINDOW": "1m"}, "the longest allowed is 1m", id="than ours"),
            pytest.param(
                ["--for", "2m"],
                {"STAGEDOOR_SWITCH": "", "STAGEDOOR_UNTIL": "2001-01-01T00:00:00Z"},
                "can't be opened or extended here",
                id="a switch that the environment sets",
            ),
        ],
    )
    def test_refuses(
        self, stagedoor: Stagedoor, arguments: list[str], variables: dict[str, str], said: str, switch: FileSwitch
    ) -> None:
        result = stagedoor("open", *arguments, **variables)
        assert (result.returncode, result.stdout) == (1, "")
        assert is_one_line(result.stderr)
        assert said in result.stderr
        assert switch.read() is None

    def test_refuses_a_switch_that_cannot_be_written(self, stagedoor: Stagedoor, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        result = stagedoor("open", "--for", "1m", "--switch", str(tmp_path / "file" / "window.json"))
        assert result.returncode == 1
        assert is_one_line(result.stderr)

    def test_refuses_a_switch_that_others_can_write(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        switch.path.parent.mkdir()
        switch.path.parent.chmod(0o777)
        result = stagedoor("open", "--for", "1m")
        assert result.returncode == 1
        assert is_one_line(result.stderr)
        assert "other users can write to" in result.stderr


class TestClose:
    def test_closes_the_window(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        stagedoor("open", "--for", "30m")
        result = stagedoor("close")
        assert (result.returncode, result.stderr) == (0, "")
        assert says(
            result, f"The window is closed: that of the file switch {switch.path}, for applications that run as"
        )
        assert switch.read() is None

    def test_says_which_switch_it_means_where_none_was_open_and_does_not_call_it_done(
        self, stagedoor: Stagedoor, switch: FileSwitch
    ) -> None:
        result = stagedoor("close")
        assert (result.returncode, result.stderr) == (1, "")
        assert says(result, f"No window was open: the file switch {switch.path} holds none.")
        assert says(result, f"This command runs as {user_name()}.")

    def test_takes_away_what_a_server_left_that_was_killed(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        window = switch.open(timedelta(minutes=5), opened_by="alice")
        folder = folder_beside(switch.path)
        folder.mkdir(mode=0o700)
        ended = subprocess.Popen(["true"])
        ended.wait()
        for kind in ("application", f"seen.{ended.pid}"):
            (folder / f"{window_id(window)}.{kind}").touch()
        # And its gatekeeper with it, as a supervisor kills all processes of a service.
        with closing(socket.socket(socket.AF_UNIX)) as control:
            control.bind(str(folder / "control"))
        (folder / "control.lock").touch(0o600)
        assert stagedoor("close").returncode == 0
        assert not folder.exists()

    def test_of_a_window_that_is_over_closes_nothing(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        switch.open(timedelta(milliseconds=1), opened_by="alice")
        wait_for(lambda: switch.read() is None, "the window's end")
        assert stagedoor("close").returncode == 1
        assert not switch.path.exists()

    def test_names_the_windows_that_lie_elsewhere(
        self, stagedoor: Stagedoor, tmp_path: Path, switch: FileSwitch
    ) -> None:
        other = FileSwitch(tmp_path / f"stagedoor-{os.geteuid()}" / "window.json", max_window=timedelta(hours=8))
        other.open(timedelta(minutes=5), opened_by="alice")
        result = stagedoor("close", TMPDIR=str(tmp_path))
        assert result.returncode == 1
        assert says(result, f"{other.path}, of {user_name()}")

    def test_does_not_name_what_somebody_has_put_into_others_places(
        self, stagedoor: Stagedoor, tmp_path: Path, switch: FileSwitch
    ) -> None:
        for number in (f"0{os.geteuid()}", "4294967294", "x"):
            bait = tmp_path / f"stagedoor-{number}" / "window.json"
            bait.parent.mkdir(mode=0o700)
            bait.touch()
        result = stagedoor("close", TMPDIR=str(tmp_path))
        assert result.returncode == 1
        assert str(tmp_path / "stagedoor-") not in result.stdout

    def test_works_whatever_else_is_wrong(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        stagedoor("open", "--for", "30m")
        wrong = {"STAGEDOOR_ALLOW": "everybody", "STAGEDOOR_BIND": "here", "STAGEDOOR_MAX_WINDOW": "1s"}
        assert stagedoor("close", **wrong).returncode == 0
        assert not switch.path.exists()

    def test_removes_a_file_that_is_no_window(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        switch.path.parent.mkdir(mode=0o700)
        switch.path.write_text("{ half a wind")
        result = stagedoor("close")
        assert result.returncode == 0
        assert says(result, "what could not be trusted is removed")
        assert not switch.path.exists()

    def test_refuses_where_the_environment_is_the_switch(self, stagedoor: Stagedoor) -> None:
        result = stagedoor("close", STAGEDOOR_SWITCH="", STAGEDOOR_UNTIL="2001-01-01T00:00:00Z")
        assert result.returncode == 1
        assert is_one_line(result.stderr)


class TestStatus:
    def test_of_an_open_window_shows_all_that_an_attach_needs(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        opened = document(stagedoor("open", "--for", "30m", "--json"))
        result = stagedoor("status")
        assert result.returncode == 0
        for shown in (opened["token"], opened["expires_at"], opened["opened_by"], str(switch.path), "127.0.0.1:5678"):
            assert shown in result.stdout
        assert re.search(r"(30m|29m\d+s) from now", result.stdout)
        assert fits_a_terminal(result.stdout)
        again = document(stagedoor("status", "--json"))
        assert again == opened | {"seconds_left": again["seconds_left"], "gatekeeper": None}

    def test_of_a_closed_window_is_told_by_the_exit_code(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        result = stagedoor("status")
        assert (result.returncode, result.stderr) == (1, "")
        assert "No window is open." in result.stdout
        assert says(result, f"This command runs as {user_name()}.")
        assert str(switch.path) in result.stdout
        result = stagedoor("status", "--json")
        assert result.returncode == 1
        assert document(result) == dict.fromkeys(KEYS) | {
            "open": False,
            "switch": f"file:{switch.path}",
            "bind": "127.0.0.1:5678",
            "allow": [],
            "user": user_name(),
            "gatekeeper": None,
        }

    def test_of_a_switch_that_cannot_be_trusted_says_why(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        stagedoor("open", "--for", "30m")
        switch.path.chmod(0o644)
        result = stagedoor("status")
        assert (result.returncode, result.stdout) == (1, "")
        assert is_one_line(result.stderr)
        watched = stagedoor("status", "--watch")
        assert (watched.returncode, watched.stdout, watched.stderr) == (1, "", result.stderr)
        result = stagedoor("status", "--json")
        assert (result.returncode, result.stderr) == (1, "")
        assert "can be read or written by other users" in document(result)["problem"]
        assert document(result)["open"] is False

    def test_of_a_broken_file_says_how_to_remove_it_from_anywhere(
        self, stagedoor: Stagedoor, switch: FileSwitch
    ) -> None:
        stagedoor("open", "--for", "30m")
        switch.path.write_text("{ half a window")
        said = stagedoor("status").stderr
        remedy = f"stagedoor close --switch {shlex.quote(str(switch.path))}"
        assert f'Remove it with "{remedy}"' in said
        # Whoever gave it as --switch has no variable that names it.
        stagedoor(*shlex.split(remedy)[1:], STAGEDOOR_SWITCH="")
        assert not switch.path.exists()

    def test_promises_a_gatekeeper_only_where_the_application_has_one(self, stagedoor: Stagedoor) -> None:
        stagedoor("open", "--for", "30m")
        assert says(stagedoor("status"), "not running: the next matching request starts it")
        assert "not running" not in stagedoor("status", STAGEDOOR_DEBUGGER="listen").stdout

    def test_of_the_environment_switch_shows_a_token_only_if_the_application_has_the_same(
        self, stagedoor: Stagedoor
    ) -> None:
        until = stagedoor("until", "30m").stdout.strip()
        shared = {"STAGEDOOR_SWITCH": "", "STAGEDOOR_UNTIL": until}
        made_up = document(stagedoor("status", "--json", **shared))
        assert made_up["open"] is True
        assert (made_up["token"], made_up["opened_at"], made_up["switch"]) == (None, None, "environment")
        assert "one that nobody knows" in stagedoor("status", **shared).stdout
        given = stagedoor("status", **shared, STAGEDOOR_TOKEN="correct-horse-battery-staple")
        assert "correct-horse-battery-staple" in given.stdout


class TestUntil:
    def test_prints_the_time_alone_so_that_a_shell_can_export_it(self, stagedoor: Stagedoor) -> None:
        before = datetime.now(UTC)
        result = stagedoor("until", "30m")
        assert (result.returncode, result.stderr) == (0, "")
        assert RFC_3339.fullmatch(result.stdout.removesuffix("\n"))
        late = parse_time(result.stdout.strip()) - before - timedelta(minutes=30)
        assert timedelta(seconds=-1) <= late < timedelta(seconds=20)

    def test_helps_whoever_has_exported_a_duration(self, stagedoor: Stagedoor) -> None:
        wrong = {"STAGEDOOR_SWITCH": "", "STAGEDOOR_UNTIL": "30m"}
        assert "stagedoor until 30m" in stagedoor("status", **wrong).stderr
        assert stagedoor("until", "30m", **wrong).returncode == 0

    def test_refuses_what_the_application_would_refuse(self, stagedoor: Stagedoor) -> None:
        result = stagedoor("until", "9h")
        assert (result.returncode, result.stdout) == (1, "")
        assert is_one_line(result.stderr)


class TestPass:
    def test_prints_both_and_how_to_use_them(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        window = switch.open(timedelta(minutes=30), opened_by="anna@staging")
        result = stagedoor("pass", "anna-2")
        assert (result.returncode, result.stderr) == (0, "")
        made = make_passes("anna-2", window.token)
        words = result.stdout.split()
        assert words.count(made.request) == words.count(made.attach) == 1
        assert words.index("X-Stagedoor-Token,") < words.index(made.request) < words.index(made.attach)
        assert says(result, 'the cookie "stagedoor_token"')
        assert says(result, 'as "stagedoorToken" in launch.json')
        assert says(result, f"They end with this window, at {format_time(window.expires_at)} as it is")
        assert window.token not in result.stdout
        assert fits_a_terminal(result.stdout)

    def test_prints_json_that_stays_the_same_for_the_window(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        window = switch.open(timedelta(minutes=30), opened_by="anna@staging")
        made = make_passes("anna", window.token)
        for _ in range(2):
            result = stagedoor("pass", "anna", "--json")
            assert document(result) == {"name": "anna", "request": made.request, "attach": made.attach}
            assert (result.returncode, result.stderr) == (0, "")
            switch.open(timedelta(minutes=40), opened_by="anna@staging")
        switch.close()
        switch.open(timedelta(minutes=30), opened_by="anna@staging")
        assert document(stagedoor("pass", "anna", "--json")).keys() == {"name", "request", "attach"}
        assert document(stagedoor("pass", "anna", "--json"))["request"] != made.request

    def test_is_refused_while_no_window_is_open(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        for arguments in (["pass", "anna"], ["pass", "anna", "--json"]):
            result = stagedoor(*arguments)
            assert (result.returncode, result.stdout) == (1, "")
            assert is_one_line(result.stderr)
            assert f"No pass was made for anna: no window is open in the file switch {switch.path}." in result.stderr
            assert "stagedoor open --for 30m" in result.stderr

    def test_of_a_switch_that_cannot_be_trusted_is_refused(self, stagedoor: Stagedoor, switch: FileSwitch) -> None:
        switch.open(timedelta(minutes=30), opened_by="anna@staging")
        switch.path.chmod(0o666)
        result = stagedoor("pass", "anna")
        assert (result.returncode, result.stdout) == (1, "")
        assert is_one_line(result.stderr)

    @pytest.mark.parametrize(
        ("token", "code", "said"),
        [
            pytest.param(None, 1, "nobody knows it, because STAGEDOOR_TOKEN is not set", id="none"),
            pytest.param("x" * 31, 1, "has 31 characters", id="one that is too short for passes"),
            pytest.param("x" * 15, 2, "STAGEDOOR_TOKEN='(15 characters)' can't be a token", id="one too short"),
            pytest.param("x" * 32, 0, "They last as long as STAGEDOOR_TOKEN is the same.", id="one long enough"),
        ],
    )
    def test_needs_a_token_of_which_passes_can_be_made(
        self, stagedoor: Stagedoor, token: str | None, code: int, said: str
    ) -> None:
        variables = {"STAGEDOOR_UNTIL": format_time(datetime.now(UTC) + timedelta(minutes=30))}
        result = stagedoor(
            "pass", "anna", STAGEDOOR_SWITCH="", **variables, **({"STAGEDOOR_TOKEN": token} if token else {})
        )
        assert result.returncode == code
        assert said in " ".join((result.stderr or result.stdout).split())
        assert (result.stdout == "") == (code != 0)
        assert not result.stderr or is_one_line(result.stderr)
        assert token is None or token not in result.stdout + result.stderr

    def test_of_the_environment_without_a_window_is_refused(self, stagedoor: Stagedoor) -> None:
        result = stagedoor("pass", "anna", STAGEDOOR_SWITCH="", STAGEDOOR_UNTIL="2001-01-01T00:00:00Z")
        assert (result.returncode, result.stdout) == (1, "")
        assert "no window is open in the environment switch STAGEDOOR_UNTIL" in result.stderr


@pytest.mark.parametrize(
    ("address", "allow", "code", "said"),
    [
        pytest.param("203.0.113.7", "203.0.113.7", 0, "Allowed: 203.0.113.7", id="the address itself"),
        pytest.param("10.1.2.3", "127.0.0.2, 10.0.0.0/8", 0, "by 10.0.0.0/8.", id="a network"),
        pytest.param("10.0.0.5", "10.0.0.1-10.0.0.9", 0, "by 10.0.0.1-10.0.0.9.", id="a range"),
        pytest.param("::ffff:10.1.2.3", "10.0.0.0/8", 0, "Allowed: 10.1.2.3", id="IPv4 in IPv6"),
        pytest.param("203.0.113.8", "203.0.113.7", 1, "not on the allowlist; allowed: 203.0.113.7.", id="another one"),
        pytest.param("203.0.113.7", "", 1, "nobody is allowed here", id="an empty allowlist"),
    ],
)
def test_check_says_whether_and_why(stagedoor: Stagedoor, address: str, allow: str, code: int, said: str) -> None:
    for result in (stagedoor("check", address, "--allow", allow), stagedoor("check", address, STAGEDOOR_ALLOW=allow)):
        assert (result.returncode, result.stderr) == (code, "")
        assert said in " ".join(result.stdout.split())
        assert fits_a_terminal(result.stdout)


def test_check_is_not_to_be_misunderstood(stagedoor: Stagedoor) -> None:
    result = stagedoor("check", "203.0.113.7")
    assert result.returncode == 1
    assert "allow=... of its own" in " ".join(result.stdout.split())
    with_token = stagedoor("check", "::1", STAGEDOOR_ALLOW="::1", STAGEDOOR_REQUIRE_TOKEN="1")
    assert with_token.returncode == 0
    warning, blank, *_ = with_token.stdout.split("that developers come from.")[1].split("\n")
    assert (warning, blank) == ("", "")
    assert "\\n" not in with_token.stdout
    assert "Its requests must carry the window's token or a pass" in " ".join(with_token.stdout.split())


class TestLaunchJson:
    def test_prints_the_file_on_stdout_and_the_rest_on_stderr(self, stagedoor: Stagedoor, tmp_path: Path) -> None:
        result = stagedoor("launch-json", "--root", str(tmp_path), STAGEDOOR_BIND="127.0.0.1:6000")
        assert result.returncode == 0
        [configuration] = document(result)["configurations"]
        assert configuration["connect"] == {"host": "127.0.0.1", "port": 6000}
        assert configuration["pathMappings"][0]["remoteRoot"] == str(tmp_path)
        assert configuration["justMyCode"] is True
        assert "ssh -N -L 6000:127.0.0.1:6000" in result.stderr

    def test_takes_this_folder_by_default(self, stagedoor: Stagedoor) -> None:
        [configuration] = document(stagedoor("launch-json"))["configurations"]
        assert configuration["pathMappings"][0]["remoteRoot"] == os.getcwd()

    def test_says_why_installed_code_is_not_just_my_code(self, stagedoor: Stagedoor, tmp_path: Path) -> None:
        root = tmp_path / "site-packages"
        root.mkdir()
        for result in (stagedoor("launch-json", "--root", str(root)), stagedoor("launch-json", "--installed")):
            assert document(result)["configurations"][0]["justMyCode"] is False
            assert "debugpy issue 354" in result.stderr

    def test_needs_no_tunnel_to_an_outside_address(self, stagedoor: Stagedoor) -> None:
        result = stagedoor("launch-json", "--bind", "203.0.113.5:5678")
        assert document(result)["configurations"][0]["connect"] == {"host": "203.0.113.5", "port": 5678}
        assert "ssh" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        pytest.param([], {}, "COMMAND", id="no command"),
        pytest.param(["opne"], {}, "'opne'", id="an unknown command"),
        pytest.param(["open"], {}, "--for", id="open without a duration"),
        pytest.param(["open", "--for"], {}, "--for", id="an option without its value"),
        pytest.param(["open", "--for", "30"], {}, "--for='30' has no unit", id="a bare number"),
        pytest.param(["open", "--for", "soon"], {}, "--for='soon' is not a duration", id="no duration"),
        pytest.param(["open", "--for", "0m"], {}, "lasts no time at all", id="no time at all"),
        pytest.param(["open", "--for=-5m"], {}, "is not a duration", id="a negative duration"),
        pytest.param(["open", "--for", "5m\nnow"], {}, "'5m\\nnow'", id="a line break in a value"),
        pytest.param(["open", "--fo", "30m"], {}, "--for", id="an abbreviated option"),
        pytest.param(["open", "--for", "30m", "now\nor\nnever"], {}, "now\\nor\\nnever", id="one argument too many"),
        pytest.param(["open", "--for", "1m", "--switch", "w.json"], {}, "--switch='w.json'", id="a relative path"),
        pytest.param(
            ["open", "--for", "1m", "--switch", "memory"], {}, "no command reaches it", id="the memory switch"
        ),
        pytest.param(["open", "--for", "1m", "--bind", "localhost:1"], {}, "--bind='localhost:1'", id="a host name"),
        pytest.param(["open", "--for", "1m", "--allow", "10.1.2.3/8"], {}, "--allow='10.1.2.3/8'", id="host bits set"),
        pytest.param(["close", "now"], {}, "now", id="close with an argument"),
        pytest.param(["close"], {"STAGEDOOR_SWITCH": "w.json"}, "STAGEDOOR_SWITCH='w.json'", id="a relative variable"),
        pytest.param(["status"], {"STAGEDOOR_UNTIL": "30m"}, "can be one switch only", id="two switches"),
        pytest.param(["status"], {"STAGEDOOR_MAX_WINDOW": "8"}, "STAGEDOOR_MAX_WINDOW='8'", id="a wrong variable"),
        pytest.param(["status", "--for", "30m"], {}, "--for", id="an option of another command"),
        pytest.param(["until"], {}, "DURATION", id="until without a duration"),
        pytest.param(["until", "30"], {}, "DURATION='30' has no unit", id="until a bare number"),
        pytest.param(["check"], {}, "ADDRESS", id="check without an address"),
        pytest.param(["check", "localhost"], {}, "ADDRESS='localhost'", id="check a name"),
        pytest.param(["check", "10.0.0.0/8"], {}, "ADDRESS='10.0.0.0/8'", id="check a network"),
        pytest.param(["check", "::1", "--allow", "x"], {}, "--allow='x'", id="check against nonsense"),
        pytest.param(["launch-json", "--root", "/no/such"], {}, "is not a folder", id="a root that is not there"),
        pytest.param(["launch-json", "--bind", "5678"], {}, "--bind='5678'", id="a port without an address"),
        pytest.param(["pass"], {}, "NAME", id="pass without a name"),
        pytest.param(["pass", "Anna"], {}, "NAME='Anna' is no name for a pass", id="a pass for a capital letter"),
        pytest.param(["pass", "10.0.0.1"], {}, "NAME='10.0.0.1'", id="a pass for an address"),
        pytest.param(["pass", "a\nb"], {}, "NAME='a\\nb'", id="a pass for a line break"),
        pytest.param(["pass", "anna", "--switch", "memory"], {}, "no command reaches it", id="a pass, memory switch"),
        pytest.param(["demo", "--server"], {}, "--server", id="demo with an unknown option"),
    ],
)
def test_bad_usage_gets_one_line_and_exit_code_2(
    stagedoor: Stagedoor, switch: FileSwitch, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    result = stagedoor(*arguments, **variables)
    assert (result.returncode, result.stdout) == (2, "")
    assert is_one_line(result.stderr)
    assert said in result.stderr
    assert not switch.path.exists()


class TestOutput:
    @pytest.mark.parametrize("arguments", [["until", "30m"], ["launch-json"]], ids=["one line", "a document"])
    def test_a_closed_pipe_is_no_error_to_look_at(self, arguments: list[str]) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w") as pipe:
            result = subprocess.run(
                [sys.executable, "-m", "stagedoor", *arguments],
                env=environment(),
                stdout=pipe,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert result.returncode == 1
        assert "Error" not in result.stderr

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_full_disk_is_one_line(self) -> None:
        with open("/dev/full", "w") as full:
            result = subprocess.run(
                [sys.executable, "-m", "stagedoor", "until", "30m"],
                env=environment(),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert result.returncode == 1
        assert is_one_line(result.stderr)

    def test_a_path_that_the_terminal_cannot_show_is_shown_all_the_same(
        self, stagedoor: Stagedoor, tmp_path: Path
    ) -> None:
        path = tmp_path / "größe\x1b[2J" / "window.json"
        result = stagedoor("status", "--switch", str(path), PYTHONIOENCODING="ascii")
        assert (result.returncode, result.stderr) == (1, "")
        assert r"gr\xf6\xdfe\x1b[2J" in result.stdout

    def test_help_fits_a_terminal(self, stagedoor: Stagedoor) -> None:
        for command in ([], ["open"], ["close"], ["status"], ["until"], ["check"], ["launch-json"], ["demo"]):
            result = stagedoor(*command, "--help", COLUMNS="80")
            assert result.returncode == 0
            assert all(len(line) <= 80 for line in result.stdout.splitlines())

    def test_version(self, stagedoor: Stagedoor) -> None:
        result = stagedoor("--version")
        assert result.returncode == 0
        assert re.fullmatch(r"stagedoor (\d+\.\d+\S*|\(not installed\))\n", result.stdout)
