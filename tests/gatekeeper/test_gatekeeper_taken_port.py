"""Another local user has the debug port first, and lets go of it when it has got the window's token."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from conftest import ServeGated
from stagedoor.audit import Audit
from stagedoor.control.burnt import BurntWindows, TokenBurnt
from stagedoor.control.config import GatekeeperConfig
from stagedoor.control.leftovers import sweep
from stagedoor.control.lock import start_lock
from stagedoor.control.place import folder_beside
from stagedoor.errors import DebuggerError
from stagedoor.gatekeeper.tcp_table import sockets_at
from stagedoor.switches import FileSwitch
from stagedoor.window.window import Window
from stagedoor.worker.launcher import say_hello
from support.disks import full_disk
from support.gatekeepers import GatedServer, end_gatekeeper
from support.network import network_of_its_own
from support.other_user import HIDDEN_THIEF, LATE_THIEF, THIEF, OtherUser, as_root
from support.scripted import MAX_WINDOW, some_config, some_window
from support.servers import ALLOWED, Answer, free_port, is_listening
from support.waiting import wait_for

pytestmark = [
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the kernel's tables are read from /proc"),
]


class Place:
    """Where gatekeepers of one switch are started, as a worker starts them."""

    def __init__(self, folder: Path) -> None:
        self.switch = FileSwitch(folder / "switch" / "window.json", max_window=MAX_WINDOW)
        self.config = some_config(
            folder / "run" / "control", switch=self.switch.name, switch_path=str(self.switch.path)
        )

    @property
    def port(self) -> int:
        return int(self.config.bind.rpartition(":")[2])

    def open(self) -> Window:
        return self.switch.open(timedelta(minutes=10), opened_by="the tests")

    def notes(self) -> list[str]:
        return [path.name for path in Path(self.config.control).parent.glob("burnt-*")]


@pytest.fixture
def place() -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="stagedoor-tests-"))
    made = Place(folder)
    yield made
    end_gatekeeper(made.config.control)
    shutil.rmtree(folder)


def greet(config: GatekeeperConfig, window: Window) -> None:
    say_hello(config, window, Audit()).close()


# Starting a gatekeeper


@as_root
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_a_window_whose_port_somebody_else_had_is_burnt(place: Place, host: str) -> None:
    window = place.open()
    with OtherUser(THIEF, host, place.port, 0) as thief:
        thief.says("listening")
        with pytest.raises(TokenBurnt, match=r"another user's process .*may have given away.*bind=unix:"):
            greet(place.config, window)
        thief.tell()
        thief.says("gone")
        with pytest.raises(TokenBurnt, match=r"another user's process"):
            greet(place.config, window)
        assert not is_listening(place.port)
        # Whichever port it would be: it is the token that is known.
        with pytest.raises(TokenBurnt):
            greet(replace(place.config, bind=f"127.0.0.1:{free_port()}"), window)
        # And whenever it ends.
        with pytest.raises(TokenBurnt):
            greet(place.config, place.open())
    place.switch.close()
    greet(place.config, place.open())
    assert is_listening(place.port)


@as_root
@pytest.mark.parametrize(
    ("bind", "late"), [("127.0.0.1", "::1"), ("127.0.0.1", "::"), ("0.0.0.0", "::1"), ("[::1]", "127.0.0.1")]
)
def test_nobody_gets_the_other_localhost_later(place: Place, bind: str, late: str) -> None:
    """A tunnel is often made to "localhost", which is ``::1`` first: whoever is there gets the token."""
    config = replace(place.config, bind=f"{bind}:{place.port}")
    greet(config, place.open())
    with OtherUser(LATE_THIEF, late, place.port, 1) as thief:
        thief.says("EADDRINUSE")
    # Whoever comes there is refused at once, and then goes where the gatekeeper is.
    with socket.socket(socket.AF_INET6 if ":" in late else socket.AF_INET) as visitor:
        assert visitor.connect_ex((late.removesuffix("1") + "1", place.port)) == errno.ECONNREFUSED
    end_gatekeeper(place.config.control)
    wait_for(lambda: not any(each.is_held for each in sockets_at(place.port)), "the port to be closed")
    with OtherUser(LATE_THIEF, late, place.port, 1) as thief:
        thief.says("listening")  # Nothing is kept.


@as_root
def test_a_window_is_burnt_where_somebody_has_the_other_localhost_already(place: Place) -> None:
    with OtherUser(HIDDEN_THIEF, "::1", place.port) as thief:
        thief.says("bound")
        with pytest.raises(TokenBurnt, match="at ::1, which localhost may mean"):
            greet(place.config, place.open())
        assert not is_listening(place.port)


@pytest.mark.parametrize(("bind", "other"), [("127.0.0.1", "::1"), ("[::1]", "127.0.0.1")])
def test_what_has_just_ended_at_the_other_localhost_is_waited_for(place: Place, bind: str, other: str) -> None:
    """Its TIME_WAIT keeps the gatekeeper from having it too; nobody else is kept from it."""
    family = socket.AF_INET6 if ":" in other else socket.AF_INET
    server = socket.create_server((other, place.port), family=family)
    with server as ended, socket.create_connection((other, place.port)) as visitor:
        ended.accept()[0].close()
        assert visitor.recv(1) == b""
    wait_for(lambda: not any(each.is_held for each in sockets_at(place.port)), "only a TIME_WAIT to be left")
    with pytest.raises(DebuggerError, match=f"at {other}, which localhost may mean, has ended") as caught:
        greet(replace(place.config, bind=f"{bind}:{place.port}"), place.open())
    assert not isinstance(caught.value, TokenBurnt)
    assert not is_listening(place.port)


@as_root
def test_all_addresses_are_all_of_them_whatever_the_system_says(place: Place) -> None:
    with network_of_its_own():
        try:
            Path("/proc/sys/net/ipv6/bindv6only").write_text("1")
        except OSError as error:
            pytest.skip(f"net.ipv6.bindv6only can't be set: {error.strerror}")
        greet(replace(place.config, bind=f"[::]:{place.port}"), place.open())
        with OtherUser(LATE_THIEF, "127.0.0.1", place.port, 1) as thief:
            thief.says("EADDRINUSE")


def test_this_users_own_process_may_have_the_other_localhost(place: Place) -> None:
    with socket.create_server(("::1", place.port), family=socket.AF_INET6):
        greet(place.config, place.open())
    assert is_listening(place.port)


@as_root
def test_one_whose_port_is_held_by_somebody_who_is_hidden_is_burnt_too(place: Place) -> None:
    window = place.open()
    with OtherUser(HIDDEN_THIEF, "127.0.0.1", place.port) as thief:
        thief.says("bound")
        with pytest.raises(TokenBurnt, match="by a process that this system does not show"):
            greet(place.config, window)
        thief.tell()
        thief.says("gone")
        with pytest.raises(TokenBurnt):
            greet(place.config, window)


def test_one_whose_port_this_user_had_is_tried_again(place: Place) -> None:
    window = place.open()
    with socket.create_server(("127.0.0.1", place.port)), pytest.raises(DebuggerError) as caught:
        greet(place.config, window)
    assert not isinstance(caught.value, TokenBurnt)
    assert "ddress already in use" in str(caught.value)
    greet(place.config, window)


def test_the_note_goes_with_the_window(place: Place) -> None:
    window = place.open()
    burnt = BurntWindows(place.config)
    burnt.burn(window, "it was taken")
    sweep(place.config)
    assert len(place.notes()) == 1
    place.switch.close()
    sweep(place.config)
    assert place.notes() == []


def test_a_window_is_burnt_on_a_full_disk_as_well(place: Place) -> None:
    """Whoever can fill the disk, as any user can where it is ``/tmp``, could make room again for the next worker."""
    window = place.open()
    Path(place.config.control).parent.mkdir(mode=0o700)
    with full_disk():
        BurntWindows(place.config).burn(window, "it was taken")
    with pytest.raises(TokenBurnt, match=r"debug port .*was not safe.*Close the window and open another"):
        greet(place.config, window)
    assert place.switch.read() == window
    place.switch.close()
    sweep(place.config)
    assert place.notes() == []


@as_root
def test_a_thief_who_fills_the_disk_gains_nothing(place: Place) -> None:
    window = place.open()
    with OtherUser(THIEF, "127.0.0.1", place.port, 0) as thief:
        thief.says("listening")
        with full_disk(), pytest.raises(TokenBurnt, match="another user's process"):
            greet(place.config, window)
        thief.tell()
        thief.says("gone")
    with pytest.raises(TokenBurnt):
        greet(place.config, window)
    assert not is_listening(place.port)


def test_where_nothing_can_be_noted_the_window_is_closed(place: Place) -> None:
    window = place.open()
    nowhere = place.switch.path / "control"  # Below a file.
    error = BurntWindows(replace(place.config, control=str(nowhere))).burn(window, "it was taken")
    assert place.switch.read() is None
    assert "closed" in str(error)
    # And no other one.
    second = place.open()
    BurntWindows(replace(place.config, control=str(nowhere))).burn(window, "it was taken")
    assert place.switch.read() == second


def test_a_token_that_comes_again_stays_burnt(place: Place) -> None:
    """That of ``STAGEDOOR_TOKEN``, which the next window has too."""
    config = replace(place.config, switch_path=None)
    window = some_window()
    BurntWindows(config).burn(window, "it was taken")
    sweep(config)
    again = replace(some_window(timedelta(hours=1)), token=window.token)
    with pytest.raises(TokenBurnt, match="Give another token"):
        BurntWindows(config).check(again)
    BurntWindows(config).check(some_window())


@as_root
def test_a_note_that_somebody_has_touched_counts_as_one(place: Place) -> None:
    window = place.open()
    BurntWindows(place.config).burn(window, "it was taken")
    [note] = Path(place.config.control).parent.glob("burnt-*")
    note.chmod(0o666)
    with pytest.raises(TokenBurnt, match="can't be told"):
        BurntWindows(place.config).check(window)


def test_a_unix_socket_where_others_could_be_first_is_refused(place: Place, tmp_path: Path) -> None:
    window = place.open()
    tmp_path.chmod(0o1777)
    config = replace(place.config, bind=f"unix:{tmp_path}/debug")
    with pytest.raises(DebuggerError, match=r"other users can write to .*Choose a directory"):
        greet(config, window)
    assert not (tmp_path / "debug").exists()
    tmp_path.chmod(0o755)
    greet(config, window)
    assert (tmp_path / "debug").exists()


# What a worker is told that can't join


def told(config: GatekeeperConfig, window: Window) -> str:
    with pytest.raises(DebuggerError) as caught:
        greet(config, window)
    return str(caught.value)


def test_of_other_settings_it_is_told_what_gets_it_in(place: Place) -> None:
    window = place.open()
    other = replace(place.config, require_token=True)
    with closing(say_hello(place.config, window, Audit())):
        said = told(other, window)
        assert "was started with other settings" in said
        assert "Restart the workers that have the old settings" in said
    greet(other, window)  # As it was told.


def test_of_a_gatekeeper_in_the_foreground_with_other_settings_too(place: Place) -> None:
    settings = {"STAGEDOOR_SWITCH": str(place.switch.path), "STAGEDOOR_BIND": place.config.bind}
    running = subprocess.Popen(
        [sys.executable, "-m", "stagedoor", "gatekeeper", "--foreground"],
        env={**os.environ, **settings},
        stderr=subprocess.DEVNULL,
    )
    try:
        window = place.open()
        control = str(control_of(place))
        wait_for(lambda: os.path.exists(control), "the gatekeeper")
        said = told(replace(place.config, control=control), window)
        assert "Restart `stagedoor gatekeeper --foreground` with the application's settings" in said
    finally:
        running.terminate()
        running.wait(10)


def test_of_one_that_somebody_else_is_to_start_it_is_told_so(place: Place) -> None:
    window = place.open()
    control = Path(place.config.control)
    control.parent.mkdir(mode=0o700)
    with start_lock(control):
        said = told(place.config, window)
    assert "another process is to start it" in said
    assert "its log says why" in said


# Servers


def busy(server: GatedServer) -> Answer | None:
    answer = server.get("/hello", ALLOWED)
    return answer if "busy" in answer.headers.get("Stagedoor", "") else None


@as_root
def test_no_worker_tries_again_in_that_window_and_the_next_one_works(serve_gated: ServeGated) -> None:
    server = serve_gated("gunicorn", "workers=2 threads=4")
    with OtherUser(THIEF, "127.0.0.1", server.debug_port, 0) as thief:
        thief.says("listening")
        server.open()
        answer = wait_for(lambda: busy(server), "a request that says why it is not debugged")
        assert answer.body == "hello"
        assert "(nobody, uid 65534) has it at 127.0.0.1" in answer.headers["Stagedoor"]
        assert "tries again" not in server.log
        thief.tell()
        thief.says("gone")
    # One that starts later knows nothing but what the others have left.
    first = {server.get("/pid").body for _ in range(20)}
    for pid in first:
        os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: not {new.body for _ in range(8) if (new := tried(server))} & first, "new workers")
    seen: set[str] = set()

    def all_say_so() -> bool:
        pending = [server.start_get("/pid", ALLOWED).answer() for _ in range(4)]
        seen.update(each.body for each in pending if "uid 65534" in each.headers.get("Stagedoor", ""))
        return len(seen) == 2

    wait_for(all_say_so, "all new workers to know that the token is burnt")
    assert not server.gatekeepers()
    assert not is_listening(server.debug_port)
    server.switch.close()
    server.wait_until_no_thread()
    wait_for(lambda: not list(server.control_path.parent.glob("burnt-*")), "the note to be gone")
    ide = server.ready("view")
    paused = server.start_get("/view?mine", ALLOWED)
    ide.stopped().resume()
    assert paused.answer().body == "total 7 for mine"


def tried(server: GatedServer) -> Answer | None:
    try:
        return server.get("/pid")
    except OSError:
        return None


@as_root
def test_a_gatekeeper_in_the_foreground_does_not_try_again_either(place: Place) -> None:
    settings = {
        "STAGEDOOR_SWITCH": str(place.switch.path),
        "STAGEDOOR_BIND": place.config.bind,
        "STAGEDOOR_ALLOW": ALLOWED,
        "XDG_RUNTIME_DIR": str(place.switch.path.parent.parent),
    }
    log = place.switch.path.parent.parent / "log"

    def notes() -> list[Path]:
        return list(folder_beside(place.switch.path).glob("burnt-*"))

    with OtherUser(THIEF, "127.0.0.1", place.port, 0) as thief, log.open("wb") as stream:
        thief.says("listening")
        running = subprocess.Popen(
            [sys.executable, "-m", "stagedoor", "gatekeeper", "--foreground"],
            env={**os.environ, **settings},
            stderr=stream,
        )
        try:
            place.open()
            wait_for(lambda: "may have given away" in log.read_text(), "it to say why it does not listen")
            thief.tell()
            thief.says("gone")
            assert notes()
            place.switch.path.chmod(0o644)
            wait_for(lambda: "can be read or written by other users" in log.read_text(), "it to mistrust the switch")
            assert notes(), "forgotten only when the window is known to be over"
            place.switch.close()
            wait_for(lambda: not notes(), "the note to be gone with its window")
            second = place.open()
            wait_for(lambda: "A window is open" in log.read_text(), "it to serve the next window")
            assert log.read_text().count("may have given away") == 1
            assert second.token not in log.read_text()
        finally:
            running.terminate()
            try:
                running.wait(5)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
                raise


# The command


def stagedoor(place: Place, *arguments: str, bind: str | None = None) -> subprocess.CompletedProcess[str]:
    settings = {
        "STAGEDOOR_SWITCH": str(place.switch.path),
        "STAGEDOOR_BIND": bind or place.config.bind,
        "XDG_RUNTIME_DIR": str(place.switch.path.parent.parent),
    }
    return subprocess.run(
        [sys.executable, "-m", "stagedoor", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=30,
    )


@as_root
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::", "::1"])
def test_open_makes_no_token_beside_somebody_elses_listener(place: Place, host: str) -> None:
    with OtherUser(THIEF, host, place.port, 0) as thief:
        thief.says("listening")
        refused = stagedoor(place, "open", "--for", "10m")
        assert refused.returncode == 1
        assert f"(nobody, uid 65534) has it at {host}" in refused.stderr
        assert "unix:/path" in refused.stderr
        assert place.switch.read() is None
        thief.tell()
        thief.says("gone")
    assert stagedoor(place, "open", "--for", "10m").returncode == 0


def test_open_does_not_mind_this_users_own_listener(place: Place) -> None:
    with closing(socket.create_server(("127.0.0.1", place.port))):
        assert stagedoor(place, "open", "--for", "10m").returncode == 0


def test_open_refuses_a_unix_socket_where_others_could_be_first(place: Place, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    refused = stagedoor(place, "open", "--for", "10m", bind=f"unix:{tmp_path}/debug")
    assert refused.returncode == 1
    assert f"other users can write to {tmp_path}" in refused.stderr
    assert place.switch.read() is None


def test_open_says_that_the_directory_of_a_unix_socket_is_missing(place: Place, tmp_path: Path) -> None:
    opened = stagedoor(place, "open", "--for", "10m", bind=f"unix:{tmp_path}/shop/debug")
    assert opened.returncode == 0
    assert f"There is no directory {tmp_path}/shop: make it" in " ".join(opened.stdout.split())


def test_open_does_not_move_the_end_of_a_window_whose_token_is_burnt(place: Place) -> None:
    window = place.open()
    note = BurntWindows(replace(place.config, control=str(control_of(place))))
    note.burn(window, "it was taken")
    refused = stagedoor(place, "open", "--for", "1h")
    assert refused.returncode == 1
    assert "Close the window and open another" in refused.stderr
    assert place.switch.read() == window
    assert stagedoor(place, "close").returncode == 0
    assert stagedoor(place, "open", "--for", "1h").returncode == 0


def control_of(place: Place) -> Path:
    """Where the command looks for the control socket."""
    code = "from stagedoor.settings.settings import Settings; print(Settings.read().gatekeeper_config().control)"
    settings = {
        "STAGEDOOR_SWITCH": str(place.switch.path),
        "STAGEDOOR_BIND": place.config.bind,
        "XDG_RUNTIME_DIR": str(place.switch.path.parent.parent),
    }
    asked = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True, check=True
    )
    return Path(asked.stdout.strip())
