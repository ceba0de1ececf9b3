"""``python tests/foreign`` finds what Stagedoor changes in a suite, and nothing where it changes nothing.

The suites here are small ones of our own: the others' come from the network, and are run where
``STAGEDOOR_TESTS_FOREIGN=1`` asks for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from foreign.archives import NotToBeHad, unpacked
from foreign.comparison import Difference, differences, flaky
from foreign.outcomes import Outcomes
from foreign.runs import BARE, Run, RunFailed, run
from foreign.suites import SUITES, Suite

FOREIGN = Path(__file__).parent

WERKZEUG_SUITE = """
import sys
from werkzeug.test import Client, run_wsgi_app
from werkzeug.wrappers import Request, Response

def app(environ, start_response):
    seen.append(dict(environ))
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b"two"

seen = []

def test_the_body_and_the_headers_are_the_application_s_own():
    for _ in range(4):
        response = Client(app).get("/")
        assert response.get_data() == b"one two"
        assert list(response.headers) == [("Content-Type", "text/plain")]

def test_the_environ_is_as_it_was_written():
    environ = {"REQUEST_METHOD": "GET", "wsgi.multithread": False}
    list(run_wsgi_app(app, environ)[0])
    assert seen[-1] == environ
    assert "REMOTE_ADDR" not in Client(app).get("/").request.environ

def test_nothing_of_stagedoor_s_is_in_this_process():
    assert "stagedoor" not in sys.modules

def test_fails_with_and_without():
    raise AssertionError("always")
"""

UNITTEST_SUITE = """
import unittest
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"text"]

class Requests(unittest.TestCase):
    def test_is_valid(self):
        environ = {"QUERY_STRING": ""}
        setup_testing_defaults(environ)
        body = validator(app)(environ, lambda status, headers, exc_info=None: lambda block: None)
        self.assertEqual(list(body), [b"text"])
        body.close()

    @unittest.skip("never")
    def test_is_skipped(self):
        pass

    @unittest.expectedFailure
    def test_fails(self):
        self.fail()
"""


def run_here(folder: Path, suite: Suite, mode: str) -> Run:
    return run(suite, folder, folder / "nothing", mode, patience=60)


def test_a_difference_is_found_by_the_id_of_its_test_and_nothing_else_differs(tmp_path: Path) -> None:
    tmp_path.joinpath("test_small.py").write_text(WERKZEUG_SUITE)
    suite = Suite("small", "", "pytest", ("werkzeug",), ("-q", "-p", "no:cacheprovider", "test_small.py"))
    bare, wrapped = run_here(tmp_path, suite, BARE), run_here(tmp_path, suite, "gatekeeper:3")
    found = differences(bare.tests, wrapped.tests)
    # The bare run must not load any of ours, or it would not be bare.
    assert found == [Difference("test_small.py::test_nothing_of_stagedoor_s_is_in_this_process", "passed", "failed")], (
        wrapped.reasons
    )
    assert bare.tests["test_small.py::test_fails_with_and_without"] == "failed"
    assert wrapped.counted | {"visitors told": 0} == {
        "requests": 6, "matching": 4, "debugged": 4, "visitors": 2, "visitors debugged": 0, "visitors told": 0, "refused": 0, "answered": 4,
    }  # fmt: skip
    assert (wrapped.stops, wrapped.warnings) == ((), bare.warnings)


def test_the_standard_library_s_validator_finds_nothing_wrong_with_ours(tmp_path: Path) -> None:
    tmp_path.joinpath("test_small.py").write_text(UNITTEST_SUITE)
    suite = Suite("small", "", "unittest", ("wsgiref",), ("test_small",))
    bare, wrapped = run_here(tmp_path, suite, BARE), run_here(tmp_path, suite, "listen:4")
    assert wrapped.tests == bare.tests, wrapped.reasons
    assert wrapped.counted["debugged"] == wrapped.counted["matching"] == 1
    assert sorted(bare.tests.values()) == ["failed as expected", "passed", "skipped"]


def test_a_suite_that_breaks_off_is_said_to(tmp_path: Path) -> None:
    tmp_path.joinpath("test_small.py").write_text("import os\nprint('the last words', flush=True)\nos._exit(1)\n")
    suite = Suite("small", "", "unittest", (), ("test_small",))
    with pytest.raises(RunFailed, match="the last words"):
        run_here(tmp_path, suite, BARE)


def test_what_differs_between_two_bare_runs_is_flaky_by_itself() -> None:
    bare = {"a": "passed", "b": "failed", "c": "skipped"}
    assert differences(bare, dict(reversed(bare.items()))) == []
    assert differences(bare, {"a": "passed", "b": "passed", "d": "passed"}) == [
        ("b", "failed", "passed"),
        ("c", "skipped", "not run"),
        ("d", "not run", "passed"),
    ]
    assert flaky(bare, bare | {"b": "error"}) == {"b"}


def test_a_suite_that_can_t_be_collected_is_said_to_have_broken_off(tmp_path: Path) -> None:
    tmp_path.joinpath("test_small.py").write_text("import nowhere_to_be_found\n")
    suite = Suite("small", "", "pytest", (), ("-q", "-p", "no:cacheprovider", "test_small.py"))
    with pytest.raises(RunFailed, match="pytest broke off"):
        run_here(tmp_path, suite, BARE)


@pytest.mark.parametrize("order", [("passed", "error"), ("error", "passed"), ("skipped", "error", "passed")])
def test_the_worst_part_of_a_test_counts(order: tuple[str, ...]) -> None:
    outcomes = Outcomes()
    for outcome in order:
        outcomes.add("test", outcome)
    assert outcomes.tests == {"test": "error"}


def test_warnings_are_compared_without_what_differs_between_any_two_runs() -> None:
    outcomes = Outcomes()
    outcomes.warn("ResourceWarning", "unclosed <socket fd=7, laddr=('127.0.0.1', 40123)>")
    outcomes.warn("ResourceWarning", "unclosed <socket fd=12, laddr=('127.0.0.1', 51234)>")
    outcomes.warn("ResourceWarning", "unclosed file '/tmp/x1/name'")
    assert len(outcomes.warnings) == 2


def test_an_archive_without_tests_is_said_to_carry_none(tmp_path: Path) -> None:
    suite = next(suite for suite in SUITES if suite.name == "werkzeug")
    (tmp_path / f"Werkzeug=={metadata.version('Werkzeug')}").mkdir()
    with pytest.raises(NotToBeHad, match="carries no tests"):
        unpacked(suite, tmp_path)


@pytest.mark.skipif(
    os.environ.get("STAGEDOOR_TESTS_FOREIGN") != "1",
    reason="fetches archives from the package index and takes minutes; STAGEDOOR_TESTS_FOREIGN=1 asks for it",
)
def test_the_suites_of_others_say_the_same_with_every_application_wrapped() -> None:
    done = subprocess.run([sys.executable, FOREIGN], capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
