"""The file switch: what it trusts, what it refuses, and what it survives."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.errors import SwitchError, WindowRefused
from stagedoor.switches import FileSwitch, default_path
from stagedoor.window.window import Window
from support.clock import START, SettableClock
from support.other_user import NOBODY, as_root

HOUR = timedelta(hours=1)
MAX_WINDOW = 8 * HOUR

GOOD: dict[str, Any] = {
    "version": 1,
    "opened_at": "2026-11-22T15:30:00Z",
    "expires_at": "2026-11-22T16:30:00Z",
    "opened_by": "alice@staging",
    "token": "0123456789abcdefghijklmnopqrstuv",
}


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "window.json"


@pytest.fixture
def switch(path: Path, clock: SettableClock) -> FileSwitch:
    return FileSwitch(path, max_window=MAX_WINDOW, clock=clock)


def write(path: Path, content: bytes | dict[str, Any], mode: int = 0o600) -> None:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    path.chmod(mode)


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Run as another user, as far as the file system is concerned."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


class TestDefaultPath:
    OWN = f"stagedoor-{os.geteuid()}" if hasattr(os, "geteuid") else "stagedoor"

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            pytest.param(
                {"XDG_RUNTIME_DIR": "/run/user/7", "TMPDIR": "/var/tmp"},
                "/run/user/7/stagedoor/window.json",
                id="the runtime directory comes first",
            ),
            pytest.param({"TMPDIR": "/var/tmp"}, f"/var/tmp/{OWN}/window.json", id="TMPDIR"),
            pytest.param({}, f"/tmp/{OWN}/window.json", id="nothing is set"),
            pytest.param({"XDG_RUNTIME_DIR": "", "TMPDIR": ""}, f"/tmp/{OWN}/window.json", id="both are empty"),
            pytest.param({"XDG_RUNTIME_DIR": "run"}, f"/tmp/{OWN}/window.json", id="a relative one is ignored"),
        ],
    )
    def test_is(self, environ: dict[str, str], expected: str) -> None:
        assert default_path(environ) == Path(expected)

    def test_is_where_the_switch_is_if_nobody_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
        assert FileSwitch(max_window=HOUR).path == Path("/run/user/7/stagedoor/window.json")


class TestOpening:
    def test_makes_the_directory_and_the_file_for_this_user_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "stagedoor" / "window.json"
        before = os.umask(0)
        try:
            FileSwitch(path, max_window=HOUR).open(HOUR, opened_by="alice")
        finally:
            os.umask(before)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600

    def test_leaves_nothing_else_behind(self, switch: FileSwitch, path: Path) -> None:
        switch.open(HOUR, opened_by="alice")
        switch.open(2 * HOUR, opened_by="alice")
        assert list(path.parent.iterdir()) == [path]

    def test_writes_what_people_can_read(self, switch: FileSwitch, path: Path) -> None:
        window = switch.open(HOUR, opened_by="alice")
        assert json.loads(path.read_text()) == {
            "version": 1,
            "opened_at": "2026-11-22T16:00:00.250000+00:00",
            "expires_at": "2026-11-22T17:00:00.250000+00:00",
            "opened_by": "alice",
            "token": window.token,
        }

    def test_a_window_of_the_longest_length_to_the_microsecond_is_believed(
        self, path: Path, clock: SettableClock
    ) -> None:
        longest = timedelta(seconds=1, microseconds=900_001)
        switch = FileSwitch(path, max_window=longest, clock=clock)
        assert switch.open(longest, opened_by="alice") == switch.read()

    def test_a_missing_directory_above_is_refused(self, tmp_path: Path) -> None:
        switch = FileSwitch(tmp_path / "a" / "b" / "window.json", max_window=HOUR)
        with pytest.raises(WindowRefused, match=r"can't be written: No such file or directory.*STAGEDOOR_SW"):
            switch.open(HOUR, opened_by="alice")

    def test_a_failed_write_leaves_the_old_window_and_no_temporary_file(self, switch: FileSwitch, path: Path) -> None:
        resource = pytest.importorskip("resource")
        before = switch.open(HOUR, opened_by="alice")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # the disk is full after ten bytes
        try:
            with pytest.raises(WindowRefused, match="can't be written"):
                switch.open(2 * HOUR, opened_by="alice")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert switch.read() == before
        assert list(path.parent.iterdir()) == [path]

    def test_what_can_not_be_trusted_is_not_overwritten(self, switch: FileSwitch, path: Path) -> None:
        write(path, b"garbage")
        with pytest.raises(SwitchError, match="stagedoor close"):
            switch.open(HOUR, opened_by="alice")
        assert path.read_bytes() == b"garbage"


class TestContent:
    def test_a_good_one_is_a_window(self, switch: FileSwitch, path: Path) -> None:
        write(path, GOOD)
        window = switch.read()
        assert window is not None
        assert window.opened_by == "alice@staging"
        assert window.expires_at - window.opened_at == HOUR

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            pytest.param({"version": 2}, "version 1", id="a later version"),
            pytest.param({"version": True}, "version 1", id="true, which equals 1"),
            pytest.param({"version": 1.0}, "version 1", id="1.0, which equals 1"),
            pytest.param({"version": 10**4000}, "version 1", id="a huge version"),
            pytest.param({"version": [[[]]]}, "version 1", id="a nested version"),
            pytest.param({"extra": 1}, "exactly the keys", id="an unknown key"),
            pytest.param({"opened_at": None}, "opened_at that is not a text", id="no beginning"),
            pytest.param({"expires_at": 1795370400}, "expires_at that is not a text", id="a number for a time"),
            pytest.param({"expires_at": "2026-11-22T16:30:00"}, "no time with a zone", id="a naive time"),
            pytest.param({"expires_at": "2026-11-22T15:30:00Z"}, "ends before it begins", id="no length"),
            pytest.param({"opened_by": 7}, "opened_by", id="a number for a name"),
            pytest.param({"opened_by": "a\nb"}, "opened_by", id="a line break in the name"),
            pytest.param({"opened_by": "\ud800"}, "opened_by", id="half a surrogate in the name"),
            pytest.param({"token": None}, "holds a token", id="no token"),
            pytest.param({"token": "short"}, "holds a token", id="a short token"),
            pytest.param({"token": "a" * 10_000}, "holds a token", id="a long token"),
            pytest.param(
                {"expires_at": "2026-11-22T23:30:01Z"}, "8h1s, and the longest .* 8h", id="longer than allowed"
            ),
            pytest.param(
                {"opened_at": "2036-11-22T15:30:00Z", "expires_at": "2036-11-22T16:30:00Z"},
                "still to come: the clock was set back",
                id="not open before ten years from now",
            ),
        ],
    )
    def test_a_bad_value_is_refused_and_the_token_not_shown(
        self, change: dict[str, Any], problem: str, switch: FileSwitch, path: Path
    ) -> None:
        write(path, GOOD | change)
        with pytest.raises(SwitchError, match=problem) as refused:
            switch.read()
        message = str(refused.value)
        assert message.startswith(f"the file switch {path} ")
        assert GOOD["token"] not in message
        assert "short" not in message.replace("shorter", "")
        assert len(message) < 400

    @pytest.mark.parametrize("key", GOOD)
    def test_a_missing_key_is_refused(self, key: str, switch: FileSwitch, path: Path) -> None:
        write(path, {name: value for name, value in GOOD.items() if name != key})
        with pytest.raises(SwitchError, match=f"exactly the keys .*{key}"):
            switch.read()

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            pytest.param(b"", "holds no JSON", id="truncated to nothing"),
            pytest.param(json.dumps(GOOD).encode()[:60], "holds no JSON", id="half written"),
            pytest.param(f'{{"token":"{GOOD["token"]}"'.encode(), "holds no JSON", id="half a token file"),
            pytest.param(b"\xff\xfe\x00", "holds no JSON", id="not UTF-8"),
            pytest.param(json.dumps(GOOD).encode("utf-16"), "holds no JSON", id="UTF-16"),
            pytest.param(b"\0" * 500, "holds no JSON", id="zeros after a crash"),
            pytest.param(b"[" * 60_000, "holds no JSON", id="nested deeper than the stack"),
            pytest.param(b'{"a":' * 10_000, "holds no JSON", id="objects nested deeper than the stack"),
            pytest.param(b"9" * 60_000, "holds no JSON", id="an integer longer than Python converts"),
            pytest.param(b"NaN", "exactly the keys", id="NaN"),
            pytest.param(b"null", "exactly the keys", id="null"),
            pytest.param(b"[]", "exactly the keys", id="a list"),
            pytest.param(b"{}", "exactly the keys", id="an empty object"),
            pytest.param(json.dumps([GOOD]).encode(), "exactly the keys", id="an object in a list"),
            pytest.param(json.dumps(list(GOOD.items())).encode(), "exactly the keys", id="pairs that are no object"),
            pytest.param(json.dumps(GOOD).encode()[:-1] + b', "version": 1}', "exactly the keys", id="a key twice"),
            pytest.param(json.dumps(GOOD).encode() + b"}", "holds no JSON", id="something after the end"),
            pytest.param(b" " * (64 * 1024 + 1), "is longer than 65536 bytes", id="one byte too long"),
            pytest.param(b"x" * 10_000_000, "is longer than 65536 bytes", id="10 MB of garbage"),
        ],
    )
    def test_what_is_no_window_is_refused(self, content: bytes, problem: str, switch: FileSwitch, path: Path) -> None:
        write(path, content)
        with pytest.raises(SwitchError, match=problem) as refused:
            switch.read()
        assert len(str(refused.value)) < 400
        assert GOOD["token"] not in repr(refused.value)

    def test_no_more_of_a_huge_file_is_read_than_is_needed(self, switch: FileSwitch, path: Path) -> None:
        write(path, b"")
        os.truncate(path, 100_000_000)
        tracemalloc.start()
        try:
            with pytest.raises(SwitchError, match="is longer than 65536 bytes"):
                switch.read()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 1_000_000

    def test_what_is_over_is_closed_however_long_it_was(self, switch: FileSwitch, path: Path) -> None:
        write(path, GOOD | {"opened_at": "2001-01-01T00:00:00Z", "expires_at": "2026-11-22T16:00:00Z"})
        assert switch.read() is None

    def test_the_same_trouble_has_the_same_message(self, switch: FileSwitch, path: Path, clock: SettableClock) -> None:
        write(path, GOOD)
        clock.set_wall(-2 * HOUR)
        messages = set()
        for _ in range(2):
            with pytest.raises(SwitchError) as refused:
                switch.read()
            messages.add(str(refused.value))
            clock.pass_time(timedelta(seconds=5))
        assert len(messages) == 1

    @given(st.binary(max_size=300))
    def test_any_bytes_are_a_window_or_refused(self, content: bytes) -> None:
        assert_closed_or_whole(content)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(list(GOOD)), inner),
            max_leaves=8,
        )
    )
    def test_any_json_is_a_window_or_refused(self, document: object) -> None:
        assert_closed_or_whole(json.dumps(document).encode())

    @given(
        st.fixed_dictionaries(
            {
                key: st.just(value)
                | st.text()
                | st.integers()
                | st.none()
                | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
                | st.lists(st.booleans())
                for key, value in GOOD.items()
            }
        )
    )
    def test_any_values_under_the_right_keys_are_a_window_or_refused(self, document: dict[str, object]) -> None:
        assert_closed_or_whole(json.dumps(document).encode())


def assert_closed_or_whole(content: bytes) -> None:
    """Reading gives nothing but a whole window, ``None`` or :class:`SwitchError`."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "window.json")
        write(path, content)
        try:
            window = FileSwitch(path, max_window=MAX_WINDOW, clock=SettableClock()).read()
        except SwitchError as error:
            str(error).encode()
            return
        if window is not None:
            assert START < window.expires_at <= window.opened_at + MAX_WINDOW


def make_directory(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    write(path.parent / "real.json", GOOD)
    path.symlink_to("real.json")


def make_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere.json")


def make_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the path may be longer than a socket's name can be
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)


def make_second_name(path: Path) -> None:
    write(path, GOOD)
    os.link(path, path.parent / "second.json")


def make_with_mode(mode: int) -> Callable[[Path], None]:
    return lambda path: write(path, GOOD, mode)


def make_under_a_file(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_bytes(b"")


def make_under_a_link(path: Path) -> None:
    real = path.parent.with_name("real")
    path.parent.rename(real)
    path.parent.symlink_to(real)
    write(path, GOOD)


def make_under_mode(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write(path, GOOD)
        path.parent.chmod(mode)

    return make


class TestTrust:
    """Refused is what another user could have written, and what is no plain file."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        (tmp_path / "own").mkdir()
        return tmp_path / "own" / "window.json"

    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            pytest.param(make_directory, "is a directory, not a regular file", id="a directory"),
            pytest.param(make_link, "is a symbolic link, not a regular file", id="a link to a good file"),
            pytest.param(make_dangling_link, "is a symbolic link", id="a link to nothing"),
            pytest.param(make_pipe, "is a named pipe", id="a pipe, without waiting for a writer"),
            pytest.param(make_socket, "is a socket", id="a socket"),
            pytest.param(make_second_name, "has 2 links", id="a second name"),
            pytest.param(make_with_mode(0o620), r"other users \(mode 0620\)", id="the group can write"),
            pytest.param(make_with_mode(0o602), r"other users \(mode 0602\)", id="others can write"),
            pytest.param(make_with_mode(0o644), r"other users \(mode 0644\)", id="others can read the token"),
            pytest.param(make_with_mode(0o640), r"other users \(mode 0640\)", id="the group can read the token"),
            pytest.param(make_under_a_file, "can't be read: Not a directory", id="under a file"),
            pytest.param(make_under_a_link, "in a directory that is a symbolic link", id="under a link to a directory"),
            pytest.param(
                make_under_mode(0o770), r"in a directory that other.* \(mode 0770\)", id="a group's directory"
            ),
            pytest.param(
                make_under_mode(0o1777), r"in a directory that other.* \(mode 1777\)", id="a sticky directory"
            ),
        ],
    )
    def test_is_refused(self, make: Callable[[Path], None], problem: str, switch: FileSwitch, path: Path) -> None:
        make(path)
        with pytest.raises(SwitchError, match=problem) as refused:
            switch.read()
        assert str(refused.value).startswith(f"the file switch {path} ")
        assert refused.value.remedy
        with pytest.raises(SwitchError, match=problem):
            switch.open(HOUR, opened_by="alice")

    @pytest.mark.parametrize(
        "make",
        [
            make_with_mode(0o600),
            make_with_mode(0o400),
            make_under_mode(0o700),
            make_under_mode(0o755),
        ],
        ids=["0600", "0400", "in a 0700 directory", "in a 0755 directory"],
    )
    def test_is_believed(self, make: Callable[[Path], None], switch: FileSwitch, path: Path) -> None:
        make(path)
        assert switch.read() is not None

    @as_root
    def test_the_owner_is_judged_before_the_mode_and_the_links(self, switch: FileSwitch, path: Path) -> None:
        make_second_name(path)
        path.chmod(0o666)
        os.chown(path, NOBODY, NOBODY)
        with pytest.raises(SwitchError, match=rf"belongs to .*uid {NOBODY}\b.* runs as .*uid 0"):
            switch.read()
        os.chown(path, 0, 0)
        with pytest.raises(SwitchError, match="mode 0666"):
            switch.read()

    @as_root
    def test_another_users_directory_is_refused_even_by_root(self, switch: FileSwitch, path: Path) -> None:
        write(path, GOOD)
        os.chown(path.parent, NOBODY, NOBODY)
        with pytest.raises(SwitchError, match=rf"in a directory that belongs to .*uid {NOBODY}\b"):
            switch.read()
        with pytest.raises(SwitchError, match="in a directory"):
            switch.close()
        assert path.exists()

    @as_root
    def test_another_users_file_is_not_removed(self, switch: FileSwitch, path: Path) -> None:
        write(path, GOOD)
        os.chown(path, NOBODY, NOBODY)
        with pytest.raises(SwitchError, match="belongs to"):
            switch.close()
        assert path.exists()


@as_root
class TestAsAnotherUser:
    """The application runs as somebody who is not root."""

    @pytest.fixture
    def path(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as directory:  # one that the other user can reach
            os.chmod(directory, 0o755)
            own = Path(directory, "own")
            own.mkdir(0o700)
            os.chown(own, NOBODY, NOBODY)
            yield own / "window.json"

    def test_what_the_user_opened_is_believed(self, switch: FileSwitch) -> None:
        with as_user(NOBODY):
            assert switch.open(HOUR, opened_by="app") == switch.read()
            assert switch.close() is True

    @pytest.mark.parametrize("mode", [0o600, 0o644], ids=["unreadable", "readable"])
    def test_what_root_opened_is_refused_and_the_message_says_how_to_open_it(
        self, mode: int, switch: FileSwitch, path: Path
    ) -> None:
        write(path, GOOD, mode)
        with as_user(NOBODY), pytest.raises(SwitchError, match=r"belongs to .*uid 0\b.* runs as") as refused:
            switch.read()
        assert f"sudo -u USER STAGEDOOR_SWITCH={path} stagedoor open" in refused.value.remedy

    def test_whoever_has_this_users_default_place_is_not_taken_for_the_applications_user(self, path: Path) -> None:
        squatted = path.parent.parent / f"stagedoor-{NOBODY - 1}"
        squatted.mkdir(mode=0o755)
        os.chown(squatted, NOBODY, NOBODY)
        with as_user(NOBODY - 1):
            switch = FileSwitch(squatted / "window.json", max_window=MAX_WINDOW)
            with pytest.raises(SwitchError, match=rf"in a directory that belongs to .*uid {NOBODY}\b") as refused:
                switch.read()
        assert "sudo" not in refused.value.for_a_command
        assert "Set STAGEDOOR_SWITCH to a file in a directory" in refused.value.for_a_command

    @pytest.mark.parametrize("name", ["my shop", "it's", "$HOME"])
    def test_the_command_that_is_recommended_can_be_pasted(self, path: Path, name: str) -> None:
        own = path.parent / name
        own.mkdir(mode=0o700)
        os.chown(own, NOBODY, NOBODY)
        with pytest.raises(SwitchError) as refused:
            FileSwitch(own / "window.json", max_window=MAX_WINDOW).read()
        command = refused.value.for_a_command.partition("application's user: ")[2]
        assert shlex.split(command)[:4] == ["sudo", "-u", "nobody", f"STAGEDOOR_SWITCH={own / 'window.json'}"]

    @pytest.mark.parametrize(
        ("called", "expected"),
        [
            ("my shop/stagedoor", "'{here}/my shop/stagedoor' ..."),
            ("stagedoor/__main__.py", f"{sys.executable} -m stagedoor ..."),
            ("bin/gunicorn", "stagedoor ..."),
        ],
    )
    def test_it_is_the_command_that_was_called(
        self, path: Path, called: str, expected: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """sudo does not look into a virtual environment."""
        here = path.parent.parent
        (here / called).parent.mkdir()
        (here / called).touch()
        monkeypatch.setattr(sys, "argv", [str(here / called)])
        with pytest.raises(SwitchError) as refused:
            FileSwitch(path, max_window=MAX_WINDOW).read()
        assert refused.value.for_a_command.endswith(f"{path} {expected.format(here=here)}")

    def test_a_directory_of_root_is_believed_but_can_not_be_written(self, switch: FileSwitch, path: Path) -> None:
        write(path, GOOD)
        os.chown(path, NOBODY, NOBODY)
        os.chown(path.parent, 0, 0)
        path.parent.chmod(0o755)
        with as_user(NOBODY):
            assert switch.read() is not None
            with pytest.raises(WindowRefused, match="can't be written: Permission denied"):
                switch.open(HOUR, opened_by="app")
            with pytest.raises(WindowRefused, match="can't be removed: Permission denied"):
                switch.close()

    def test_a_directory_that_can_not_be_searched_is_refused(self, switch: FileSwitch, path: Path) -> None:
        write(path, GOOD)
        path.parent.chmod(0)
        with as_user(NOBODY), pytest.raises(SwitchError, match="can't be read: Permission denied"):
            switch.read()

    def test_an_own_file_that_can_not_be_read_is_refused_and_can_be_removed(
        self, switch: FileSwitch, path: Path
    ) -> None:
        write(path, GOOD, 0)
        os.chown(path, NOBODY, NOBODY)
        with as_user(NOBODY):
            with pytest.raises(SwitchError, match="can't be read: Permission denied"):
                switch.read()
            assert switch.close() is False
        assert not path.exists()


class TestClosing:
    """Closing removes the file, and everything of our own that stands in its place."""

    def test_removes_the_file(self, switch: FileSwitch, path: Path) -> None:
        switch.open(HOUR, opened_by="alice")
        switch.close()
        assert list(path.parent.iterdir()) == []

    def test_removes_what_is_over(self, switch: FileSwitch, path: Path, clock: SettableClock) -> None:
        switch.open(HOUR, opened_by="alice")
        clock.pass_time(HOUR)
        assert switch.close() is False
        assert not path.exists()

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(make_link, id="a link, not what it points to"),
            pytest.param(make_pipe, id="a pipe"),
            pytest.param(make_second_name, id="a second name"),
            pytest.param(make_with_mode(0o666), id="a file that others can write"),
            pytest.param(lambda path: write(path, b"garbage"), id="garbage"),
        ],
    )
    def test_removes_what_can_not_be_trusted_but_is_ours(
        self, make: Callable[[Path], None], switch: FileSwitch, path: Path
    ) -> None:
        make(path)
        others = {other for other in path.parent.iterdir() if other != path}
        assert switch.close() is False
        assert set(path.parent.iterdir()) == others
        assert switch.open(HOUR, opened_by="alice") == switch.read()

    def test_does_not_remove_a_directory(self, switch: FileSwitch, path: Path) -> None:
        path.mkdir()
        with pytest.raises(SwitchError, match="is a directory"):
            switch.close()
        assert path.is_dir()


class TestInterrupted:
    """A signal can come between any two steps of writing, and what it raises is what comes out."""

    @pytest.fixture(params=["open", "replace"])
    def interrupted_after(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
        """A step after which a real signal comes, once; its handler raises :exc:`SystemExit`."""
        step, pending = getattr(os, request.param), [signal.SIGTERM]

        def interrupted(*arguments: Any, **options: Any) -> Any:
            result = step(*arguments, **options)
            if pending and ".stagedoor-" in str(arguments[0]):
                signal.raise_signal(pending.pop())
            return result

        before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        monkeypatch.setattr(os, request.param, interrupted)
        yield request.param
        signal.signal(signal.SIGTERM, before)

    def test_the_signal_comes_out_and_not_what_cleaning_up_makes_of_it(
        self, switch: FileSwitch, interrupted_after: str
    ) -> None:
        with pytest.raises(SystemExit, match="143"):
            switch.open(HOUR, opened_by="alice")

    def test_nothing_half_written_is_left(self, switch: FileSwitch, path: Path, interrupted_after: str) -> None:
        with pytest.raises((SystemExit, WindowRefused)):
            switch.open(HOUR, opened_by="alice")
        assert list(path.parent.iterdir()) == ([path] if interrupted_after == "replace" else [])
        assert (switch.read() is not None) is (interrupted_after == "replace")


WRITER = """
import select
import sys
from datetime import timedelta
from stagedoor.switches import FileSwitch

switch = FileSwitch(sys.argv[1], max_window=timedelta(hours=1))
print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0)[0]:
    switch.open(timedelta(minutes=1), opened_by=sys.argv[2])
    switch.close()
"""


def test_two_processes_that_open_and_close_leave_a_third_nothing_but_whole_windows(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("alice", "bob")
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        switch = FileSwitch(path, max_window=timedelta(hours=1))
        seen: set[Window | None] = set()
        reads = 0
        patience = time.monotonic() + 30
        # They take turns as the scheduler likes: read on until enough was seen for the test to mean something.
        while reads < 2000 or len(seen) < 20 or None not in seen:
            seen.add(switch.read())
            reads += 1
            assert time.monotonic() < patience, f"only {len(seen)} states of the file were seen"
    finally:
        for writer in writers:
            writer.communicate()  # closing its standard input ends it
    assert [writer.returncode for writer in writers] == [0, 0]
    switch.close()
    assert list(path.parent.iterdir()) == []
