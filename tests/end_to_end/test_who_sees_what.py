"""Who sees what: commands of several users, environments and namespaces, beside an application that one of them runs.

An application runs as a user, with a window open on one of three switches. A command runs as somebody, somewhere. What
it says, and its exit code, must be about the application's window, or say that it is about another one.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.modules import ROOT
from support.servers import ALLOWED, free_port, is_listening
from support.users import Machine, why_not
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

SERVER = ROOT / "tests" / "support" / "serve.py"
ALICE, BOB, ROOT = 12001, 12002, 0


@dataclass(frozen=True)
class Where:
    """Who runs something, and in which surroundings. ``{...}`` in a variable stands for a directory of the test's."""

    uid: int = ALICE
    environ: dict[str, str] = field(default_factory=dict)
    private_tmp: bool = False


XDG = {"XDG_RUNTIME_DIR": "{runtime}"}
#: Where the default is below /tmp: by another name, so that nothing of the machine's own is in the way.
TMP = {"TMPDIR": "{tmp}"}
GIVEN = {"STAGEDOOR_SWITCH": "{given}/window.json"}
LONG = {"STAGEDOOR_SWITCH": "{given}/" + "x" * 100 + "/window.json"}


@dataclass(frozen=True)
class Row:
    """One line of the table.

    :param application: where the application runs, with whose eyes the window is opened.
    :param command: where ``status`` and ``close`` run.
    :param sees: whether they mean the application's window.
    :param says: what they say if not.
    """

    application: Where
    command: Where
    sees: bool
    says: tuple[str, ...] = ()


NONE = ("No window was open", "This command runs as uid")
TABLE = {
    "the same user and runtime directory": Row(Where(environ=XDG), Where(environ=XDG), True),
    "another runtime directory": Row(
        Where(environ=XDG), Where(environ={"XDG_RUNTIME_DIR": "{another}"}), False, (*NONE, "{another}/stagedoor")
    ),
    "no runtime directory": Row(Where(environ=XDG), Where(environ=TMP), False, (*NONE, "{tmp}/stagedoor-12001")),
    "no runtime directory for both": Row(Where(environ=TMP), Where(environ=TMP), True),
    "a switch that is given, and other runtime directories": Row(
        Where(environ=GIVEN | XDG), Where(environ=GIVEN | {"XDG_RUNTIME_DIR": "{another}"}), True
    ),
    "a switch that is given, with a long path": Row(Where(environ=LONG | XDG), Where(environ=LONG), True),
    "a private /tmp, and the default in it": Row(
        Where(environ={"TMPDIR": "/tmp"}, private_tmp=True), Where(environ={"TMPDIR": "/tmp"}), False, NONE
    ),
    "a private /tmp, and a switch that is given": Row(
        Where(environ=GIVEN, private_tmp=True), Where(environ=GIVEN), True
    ),
    "a private /tmp, and a given switch with a long path": Row(
        Where(environ=LONG, private_tmp=True), Where(environ=LONG), True
    ),
    "another user": Row(Where(environ=TMP), Where(BOB, TMP), False, (*NONE, "{tmp}/stagedoor-12002")),
    "another user with the switch": Row(
        Where(environ=GIVEN), Where(BOB, GIVEN), False, ("{given} belongs to uid 12001", "sudo -u '#12001'")
    ),
    "root": Row(
        Where(environ=TMP), Where(ROOT, TMP), False, ("No window was open", "root", "{tmp}/stagedoor-12001/window.json")
    ),
    "root with the switch": Row(
        Where(environ=GIVEN),
        Where(ROOT, GIVEN),
        False,
        ("belongs to uid 12001", "runs as root (uid 0)", "sudo -u '#12001' STAGEDOOR_SWITCH={given}/window.json"),
    ),
}


@dataclass(frozen=True)
class Application:
    """An application that is being served."""

    port: int
    process: subprocess.Popen[str]
    settings: dict[str, str]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def header(self) -> str | None:
        """What the answer to a request from the allowed address says of the window."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(ALLOWED, 0))
        with closing(connection):
            connection.request("GET", "/hello")
            response = connection.getresponse()
            response.read()
            return response.headers.get("Stagedoor")

    def listens(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the application ended at once: {self.log}")
        return is_listening(self.port)


class Scene:
    """The machine, its directories, and the applications on it."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.places = {name: str(self.machine.directory(name, ALICE)) for name in ("runtime", "another", "given")}
        self.places["tmp"] = str(self.machine.directory("tmp", ROOT, 0o1777))
        self._started: list[subprocess.Popen[str]] = []

    def environ(self, where: Where, **more: str) -> dict[str, str]:
        return {name: value.format(**self.places) for name, value in where.environ.items()} | more

    def serve(self, where: Where, *, name: str = "application") -> Application:
        port, debug_port = free_port(), free_port()
        settings = {"STAGEDOOR_ALLOW": ALLOWED, "STAGEDOOR_BIND": f"127.0.0.1:{debug_port}"}
        log = (self.machine.folder / f"log-{port}").open("w")
        process = self.machine.start(
            where.uid,
            str(SERVER),
            "waitress",
            "127.0.0.1",
            str(port),
            f"support.application:{name}",
            environ=self.environ(where, **settings),
            private_tmp=where.private_tmp,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self._started.append(process)
        application = Application(port, process, settings, Path(log.name))
        wait_for(application.listens, "the application to listen", timeout=20)
        return application

    def opened(self, where: Where, application: Application) -> None:
        """Open the window as the application sees it, and wait for a request that matches."""
        inside = application.process.pid if where.private_tmp else None
        result = self.stagedoor(where, "open", "--for", "10m", inside=inside, **application.settings)
        assert result.returncode == 0, result.stderr
        assert "no worker: none has served a request since" in said(result)
        wait_for(application.header, "a request that matches")

    def stagedoor(
        self, where: Where, *arguments: str, inside: int | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; ``inside`` what a process sees of the file system, as ``docker exec`` does."""
        environ = self.environ(where, **settings)
        return self.machine.run(where.uid, "-m", "stagedoor", *arguments, environ=environ, inside=inside)

    def end(self) -> None:
        for process in self._started:
            with suppress(ProcessLookupError):  # It has ended, and its test says why.
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)
        self.machine.remove()


@pytest.fixture
def scene() -> Iterator[Scene]:
    made = Scene()
    yield made
    made.end()


def said(result: subprocess.CompletedProcess[str]) -> str:
    """All that a command has printed, wherever it broke its lines."""
    return " ".join((result.stdout + result.stderr).split())


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE.keys())
def test_who_sees_what(scene: Scene, row: Row) -> None:
    application = scene.serve(row.application)
    scene.opened(row.application, application)
    wait_for(lambda: is_listening(int(application.settings["STAGEDOOR_BIND"].rpartition(":")[2])), "the gatekeeper")

    shown = scene.stagedoor(row.command, "status", "--json", **application.settings)
    picture = scene.stagedoor(row.command, "status", **application.settings)
    closed = scene.stagedoor(row.command, "close")

    document = json.loads(shown.stdout)
    assert document["open"] is row.sees
    assert (document["gatekeeper"] is not None) is row.sees
    codes = {result.returncode for result in (shown, picture, closed)}
    if row.sees:
        assert codes == {0}
        assert document["workers_seen"] == 1
        assert "support.application.application" in document["application"]
        assert [worker["pid"] for worker in document["gatekeeper"]["workers"]] == [application.process.pid]
        assert "seen by 1 worker" in said(picture)
        assert f"for applications that run as uid {row.command.uid}" in said(closed)
        wait_for(lambda: application.header() is None, "the window to be closed")
        wait_for(lambda: application.log.count("stagedoor.audit closed: ") == 1, "the end in the log")
    else:
        assert codes == {1}
        for words in row.says:
            assert words.format(**scene.places) in said(closed)
        for words in row.says[1:]:
            assert words.format(**scene.places) in said(picture)
        assert application.header() is not None, "it is open as before"
    assert application.log.count("stagedoor.audit opened: ") == 1


def test_two_applications_of_one_user(scene: Scene) -> None:
    where = Where(environ=XDG)
    shop = scene.serve(where)
    blog = scene.serve(where, name="with_another_door")
    scene.opened(where, shop)
    for _ in range(3):
        assert blog.header() is None
    wait_for(lambda: blog.header() is None and "another application of this user" in blog.log, "the other to say so")
    [line] = [line for line in blog.log.splitlines() if "stagedoor.audit refused: " in line]
    for words in ("support.application.application", "support.application.with_another_door", "STAGEDOOR_SWITCH"):
        assert words in line
    document = json.loads(scene.stagedoor(where, "status", "--json", **shop.settings).stdout)
    assert "support.application.application" in document["application"]
    assert document["workers_seen"] == 1
    # The next window is for whoever comes first.
    assert scene.stagedoor(where, "close").returncode == 0
    wait_for(lambda: shop.header() is None, "the window to be closed")
    assert scene.stagedoor(where, "open", "--for", "5m").returncode == 0
    wait_for(blog.header, "a request that matches")
    assert [shop.header() for _ in range(3)] == [None] * 3


@pytest.mark.parametrize("who", [BOB, ROOT])
def test_whoever_opens_with_another_users_switch_is_told_to_be_that_user(scene: Scene, who: int) -> None:
    result = scene.stagedoor(Where(who, GIVEN), "open", "--for", "5m")
    assert (result.returncode, result.stdout) == (1, "")
    pasted = f"sudo -u '#{ALICE}' STAGEDOOR_SWITCH={scene.places['given']}/window.json {sys.executable} -m stagedoor"
    assert pasted in result.stderr
    assert os.listdir(scene.places["given"]) == []


def test_a_gatekeeper_of_roots_leaves_nothing_in_another_users_place(scene: Scene) -> None:
    """Else the application's own workers would find a directory there that is not theirs, and stay closed."""
    result = scene.stagedoor(Where(ROOT, GIVEN), "gatekeeper", "--foreground")
    assert result.returncode == 1
    assert f"sudo -u '#{ALICE}' STAGEDOOR_SWITCH=" in result.stderr
    assert os.listdir(scene.places["given"]) == []


def test_root_is_told_that_no_worker_has_seen_a_window_of_its_own(scene: Scene) -> None:
    application = scene.serve(Where(environ=TMP))
    result = scene.stagedoor(Where(ROOT, TMP), "open", "--for", "5m")
    assert "for an application that runs as root (uid 0)" in said(result)
    assert application.header() is None
    shown = scene.stagedoor(Where(ROOT, TMP), "status")
    assert "no worker: none has served a request since. If one has, the application reads another switch" in said(shown)
