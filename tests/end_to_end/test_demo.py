"""``stagedoor demo``, the real one: what it prints, how it ends, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from stagedoor.dap.ide import Ide
from stagedoor.demo.visitors import PAIRS
from stagedoor.gatekeeper.patience import USUAL
from support.servers import is_listening
from support.waiting import wait_for

PRELUDE = (
    "import sys; from datetime import timedelta; from stagedoor.cli.command import main;"
    " from stagedoor.demo import play, story; from stagedoor.demo.visitors import PAIRS, Place; "
)
PLAY_THE_OTHERS = PRELUDE + "sys.exit(play(PAIRS[1]))"
STRANGERS = PRELUDE + "sys.exit(play((Place('198.51.100.1', '127.0.0.1'), PAIRS[0][1])))"
ALL_ALLOWED = PRELUDE + "sys.exit(play((PAIRS[0][0], PAIRS[0][0])))"
PAUSED_FOR_LONG = PRELUDE + "story._LAST = timedelta(minutes=5); sys.exit(main(['demo']))"


class Demo:
    """A demo in a process of its own, all of whose files are in a folder of its own."""

    def __init__(self, folder: str, *arguments: str) -> None:
        self.folder = Path(folder)
        environment = {**os.environ, "TMPDIR": folder, "STAGEDOOR_UNTIL": "a setting of the user's own"}
        environment.pop("PYTHONUNBUFFERED", None)  # each line is to be seen when it is true without that too
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.printed = ""
        self.errors = ""
        self._readers = [threading.Thread(target=self._read, args=(name,)) for name in ("printed", "errors")]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        stream = self.process.stdout if name == "printed" else self.process.stderr
        assert stream is not None
        with stream:
            for line in stream:
                setattr(self, name, getattr(self, name) + line)

    def wait_for(self, text: str) -> None:
        wait_for(lambda: text in self.printed or self._has_ended(), f"the demo to print {text!r}", timeout=30)

    def _has_ended(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the demo ended:\n{self.printed}{self.errors}")
        return False

    def wait(self) -> int:
        """The exit code."""
        code = self.process.wait(60)
        for reader in self._readers:
            reader.join(10)
        return code

    def processes(self) -> list[int]:
        """The processes that are still there of all that the demo has started, itself included."""
        marker = os.fsencode(self.folder)
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if marker in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def ports(self) -> list[int]:
        """Every port that it has printed."""
        return [int(port) for port in re.findall(r"(?:port |127\.0\.0\.1:)(\d+)", self.printed)]

    def left_behind(self) -> list[object]:
        return [*self.processes(), *self.folder.iterdir(), *filter(is_listening, set(self.ports()))]


Run = Callable[..., Demo]


@pytest.fixture
def demo() -> Iterator[Run]:
    """Starts demos; kills them after the test if it has failed to end them."""
    # Not tmp_path: a short path keeps the lines short that show one.
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        started: list[Demo] = []

        def start(*arguments: str) -> Demo:
            started.append(Demo(folder, *(arguments or ("-m", "stagedoor", "demo"))))
            return started[-1]

        yield start
        for one in started:
            one.process.kill()
            for pid in one.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            one.wait()


@pytest.mark.parametrize(
    ("arguments", "office"),
    [
        pytest.param(["-m", "stagedoor", "demo"], "127.0.0.2", id="on Linux"),
        pytest.param(
            ["-c", PLAY_THE_OTHERS],
            "127.0.0.1",
            id="where loopback is 127.0.0.1 alone",
            marks=pytest.mark.skipif(not PAIRS[1][1].is_possible(), reason="needs ::1"),
        ),
    ],
)
def test_it_shows_the_product(demo: Run, arguments: list[str], office: str) -> None:
    run = demo(*arguments)
    assert run.wait() == 0, run.errors
    assert run.errors == ""
    lines = [
        r"developer +200 in [\d.]+ ms: developer pays 2.30",
        r"visitor +200 in [\d.]+ ms: visitor pays 2.30",
        r"debugger +port \d+ closed, no process",
        rf"A window is opened, for requests from {office}",
        r"anna +200 in [\d.]+ ms, [\d.]+ s after the opening, and",
        r"Stagedoor: open; until=\S+Z; client=waiting",
        r"anna +attached in [\d.]+ s, with a breakpoint at shop.py:\d+",
        r"ben +attached in [\d.]+ s, with a breakpoint at shop.py:\d+",
        r"debugger +port \d+ open, processes: \d+",
        r"anna +stopped in basket\(\), shop.py:\d+, after [\d.]+ ms",
        r"customer = 'anna'",
        r"items = {'apples': 3, 'pears': 2}",
        r"ben +stopped in basket\(\), shop.py:\d+, after [\d.]+ ms",
        r"customer = 'ben'",
        r"visitor +200 in [\d.]+ ms: visitor pays 2.30",
        r"20 more, the slowest in [\d.]+ ms",
        r"anna and ben +still paused, [\d.]+ s after their requests",
        r"anna +200, \d+ ms after the end: anna pays 2.30",
        r"ben +200, \d+ ms after the end: ben pays 2.30",
        r"debugger +both cut off after [\d.]+ s",
        r"port closed, no process left, after [\d.]+ s",
        r"Stagedoor: ben has attached\.",
        r"Stagedoor: also attached: anna \(since .*",
        r"expired +the window opened by the demo reached its end",
        r"left behind +no process, no open port, no file",
    ]
    assert re.search(r"\n.*".join(rf" *{line}" for line in lines).replace(r"\n.*", r"\n(?:.*\n)*?"), run.printed)
    assert all(len(line) <= 80 for line in run.printed.splitlines())
    assert "\033" not in run.printed, "colours, though this is no terminal"
    assert run.ports()
    assert not run.left_behind()


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        pytest.param(
            STRANGERS, "The application did not answer developer at 198.51.100.1", id="developers who can't connect"
        ),
        pytest.param(ALL_ALLOWED, "visitor was told about the window", id="a visitor whose requests match"),
    ],
)
def test_it_says_what_is_not_as_it_should_be(demo: Run, script: str, problem: str) -> None:
    run = demo("-c", script)
    assert run.wait() == 1
    assert f"stagedoor: The demo failed: {problem}" in run.errors
    assert "left behind" not in run.printed
    assert not run.left_behind()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "being told to end"]
)
@pytest.mark.parametrize(
    ("arguments", "moment"),
    [(["-m", "stagedoor", "demo"], "  process "), (["-c", PAUSED_FOR_LONG], "still paused")],
    ids=["at its beginning", "with requests paused"],
)
def test_it_cleans_up_after(demo: Run, number: int, code: int, arguments: list[str], moment: str) -> None:
    run = demo(*arguments)
    run.wait_for(moment)
    run.process.send_signal(number)
    assert run.wait() == code, run.errors
    assert run.errors == ""
    assert not run.left_behind()


def test_nothing_lasts_when_it_is_killed(demo: Run) -> None:
    run = demo()
    run.wait_for("still paused")
    run.process.kill()
    run.wait()
    # If it was killed before it has moved the window's end, its gatekeeper waits for another worker first.
    wait_for(lambda: not run.processes(), "the application and its debugger to end", timeout=(USUAL.idle or 0) + 5)


def run_curl(command: str) -> str:
    return subprocess.run([*shlex.split(command), "--silent"], check=True, capture_output=True, text=True).stdout


class TestServe:
    @pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
    def test_everything_that_it_prints_works(self, demo: Run) -> None:
        run = demo("-m", "stagedoor", "demo", "--serve")
        run.wait_for("stagedoor close --switch ")
        [configuration] = json.loads(re.search(r"^\{.*^\}", run.printed, re.M | re.S).group())["configurations"]
        code = Path(configuration["pathMappings"][0]["remoteRoot"], "shop.py")
        line = int(re.search(r"shop.py, line (\d+)", run.printed)[1])
        passes = dict(re.findall(r"^ +((anna|ben)\.[0-9a-f]{64})$", run.printed, re.M))
        curls = {name: command for command, name in re.findall(r"(curl .*/basket/(\w+))", run.printed)}
        assert set(curls) == {*passes.values(), "visitor"} == {"anna", "ben", "visitor"}
        where, answers = (configuration["connect"]["host"], configuration["connect"]["port"]), []
        with ExitStack() as ends:
            for attach_pass, name in passes.items():
                ide = ends.enter_context(Ide(where, {os.fspath(code): [line]}, token=attach_pass))
                mine = threading.Thread(target=lambda of=name: answers.append(run_curl(curls[of])))
                mine.start()
                ends.callback(mine.join, 10)
                stop = ide.stopped()
                assert (stop.frame()["line"], stop.locals()["customer"]) == (line, repr(name))
            assert run_curl(curls["visitor"]) == "visitor pays 2.30\n"
            assert answers == []
            closing = re.search(r"stagedoor (close --switch \S+)", run.printed)[1].split()
            subprocess.run([sys.executable, "-m", "stagedoor", *closing], check=True, stdout=subprocess.DEVNULL)
        assert sorted(answers) == ["anna pays 2.30\n", "ben pays 2.30\n"]
        assert run.wait() == 0
        assert "The window has ended; the application has been stopped." in run.printed
        assert "stagedoor.audit paused: GET /basket/anna" in run.errors
        assert not run.left_behind()

    def test_ends_with_ctrl_c(self, demo: Run) -> None:
        run = demo("-m", "stagedoor", "demo", "--serve")
        run.wait_for("stagedoor close --switch ")
        run.process.send_signal(signal.SIGINT)
        assert run.wait() == 0
        assert "Traceback" not in run.errors
        assert not run.left_behind()
