"""Jobs of the application's own that ask to be debugged: helper threads of a request, and work that has a name."""

from __future__ import annotations

import threading
import timeit
from collections.abc import Callable, Iterator

import pytest

import stagedoor
from stagedoor import ConfigurationError
from stagedoor.dap.ide import Ide
from support.pooled import PooledThread
from support.servers import ALLOWED, OTHER
from support.sites import Site, open_site
from support.waiting import wait_for

STOPS = ("resize", "report", "fail", "nobody's", "before", "inside", "after", "named view")


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("site"), "jobs", "gunicorn", options="threads=2") as site:
        yield site


@pytest.fixture
def ide(site: Site) -> Ide:
    ide = site.attached("uncaught", breakpoints={str(site.source): [site.line(stop) for stop in STOPS]})
    # A matching request brings the debugger to the process.
    assert site.get("/hello", ALLOWED).headers["Stagedoor"].endswith("client=attached")
    return ide


@pytest.mark.parametrize(
    ("path", "source", "stop", "thread"),
    [
        pytest.param("/helper", ALLOWED, "resize", "resize, for GET /helper", id="a helper of the matching request"),
        pytest.param("/report", ALLOWED, "report", "nightly report", id="a named job that a matching request starts"),
        pytest.param("/report", OTHER, "report", "nightly report", id="a named job that another request starts"),
        pytest.param("/block", OTHER, "inside", "block", id="a named block, itself inside another"),
        pytest.param("/own-thread", ALLOWED, "resize", "GET /own-thread", id="on the matching request's own thread"),
        pytest.param("/named-view", ALLOWED, "named view", "GET /named-view", id="a named part of a matching request"),
    ],
)
def test_it_is_debugged_under_its_name(site: Site, ide: Ide, path: str, source: str, stop: str, thread: str) -> None:
    pending = site.start_get(path, source)
    found = ide.stopped()
    assert found.frame()["line"] == site.line(stop)
    assert found.name() == f"{thread} (worker {found.worker()})"
    found.resume()
    # One stop, and nothing of it is left on its thread: the lines before and after a block have breakpoints as well.
    assert pending.answer().status == 200


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("/plain-thread", ALLOWED, id="a thread of the matching request that does not ask for it"),
        pytest.param("/helper", OTHER, id="a helper of somebody else's request"),
        pytest.param("/own-thread", OTHER, id="a part of somebody else's request"),
        pytest.param("/named-view", OTHER, id="a named part of somebody else's request"),
        pytest.param("/nobody", ALLOWED, id="a block without a name that no matching request has made"),
    ],
)
def test_it_is_not_debugged(site: Site, ide: Ide, path: str, source: str) -> None:
    assert site.get(path, source).status == 200


def test_an_error_stops_where_it_was_raised_and_passes_through(site: Site, ide: Ide) -> None:
    pending = site.start_get("/fail", OTHER)
    reasons = []
    for _ in range(2):
        found = ide.stopped()
        reasons.append(found.reason)
        assert found.frame()["line"] == site.line("fail")
        found.resume()
    assert reasons == ["breakpoint", "exception"]
    assert pending.answer().body == "TimeoutError"


@pytest.mark.parametrize("order", [("/report", "/own-thread"), ("/own-thread", "/report")])
def test_a_paused_job_takes_no_place_of_a_request(site: Site, ide: Ide, order: tuple[str, str]) -> None:
    """Of the server's two threads, one may be paused; a job's thread is not one of them."""
    pending, stops = [], []
    for path in order:
        pending.append(site.start_get(path, OTHER if path == "/report" else ALLOWED))
        stops.append(ide.stopped())
    for found in stops:
        found.resume()
    assert {each.answer().body for each in pending} == {"3 pages", "4"}


def test_jobs_run_on_when_the_window_ends(site: Site) -> None:
    for _ in range(2):
        ide = site.attached("uncaught", breakpoints={str(site.source): [site.line("report")]})
        site.get("/hello", ALLOWED)
        pending = site.start_get("/report", OTHER)
        ide.stopped()
        site.switch.close()
        assert pending.answer(5).body == "3 pages"
        site.detach()
        wait_for(lambda: not site.gatekeepers(), "the gatekeeper to be gone")
        assert site.get("/report", OTHER).body == "3 pages"
        site.start_window()


def test_the_developer_is_told_once_why_a_job_without_a_name_is_not_debugged(site: Site) -> None:
    # In a window of its own: it is said once in a window.
    site.switch.close()
    site.detach()
    wait_for(lambda: not site.gatekeepers(), "the gatekeeper to be gone")
    site.start_window()
    ide = site.attached("uncaught")
    site.get("/hello", ALLOWED)
    for _ in range(2):
        assert site.get("/nobody", ALLOWED).status == 200
    session = ide.session
    said = session.wait_event("output", lambda body: "without a name" in body["output"])
    assert said["output"].startswith("Stagedoor: helper is not debugged: traced() without a name has to be made by")
    session.request("threads")  # Its answer comes after all that was said before.
    assert len([event for event in session.events if "without a name" in str(event)]) == 1


# Without a window, in this process.


def test_outside_a_window_it_costs_next_to_nothing() -> None:
    def job() -> None:
        with stagedoor.traced("job"):
            pass

    seconds = min(timeit.repeat(job, number=1000, repeat=5)) / 1000
    assert seconds < 20e-6


def test_a_decorated_function_stays_what_it_was() -> None:
    @stagedoor.traced("sum")
    def total(first: int, *rest: int, factor: int = 1) -> int:
        """Adds up."""
        return (first + sum(rest)) * factor

    assert total(1, 2, 3, factor=2) == 12
    assert (total.__name__, total.__doc__) == ("total", "Adds up.")


def test_it_can_be_used_without_parentheses() -> None:
    @stagedoor.traced
    def answer() -> int:
        return 42

    assert answer() == 42


def test_exceptions_pass_through_unchanged() -> None:
    error = LookupError("mine")
    with pytest.raises(LookupError) as raised, stagedoor.traced("job"), stagedoor.traced():
        raise error
    assert raised.value is error


def test_one_job_runs_on_many_threads_at_once_and_inside_itself() -> None:
    job = stagedoor.traced("job")
    meeting = threading.Barrier(4, timeout=10)
    left: list[bool] = []

    def work() -> None:
        with job:
            meeting.wait()
            with job:
                meeting.wait()
        left.append(True)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert left == [True] * 4


def test_a_generator_may_leave_a_job_on_another_thread_than_the_one_on_which_it_entered() -> None:
    job = stagedoor.traced("job")

    def work() -> Iterator[int]:
        with job:
            yield 1
            raise LookupError

    def close() -> None:
        generators[0].close()

    def fail() -> None:
        with pytest.raises(LookupError):
            next(generators[1])

    generators = [work(), work()]
    # Both are alive at once, so that they have different numbers.
    first, second = PooledThread("first"), PooledThread("second")
    for generator_ in generators:
        assert first.submit(next, generator_).result(10) == 1
    for step in (close, fail):
        second.submit(step).result(10)
    assert not any(job._entered.values())
    first.end()
    second.end()


async def coroutine() -> None: ...


def generator() -> Iterator[None]:
    yield


async def asynchronous_generator():  # type: ignore[no-untyped-def]
    yield


@pytest.mark.parametrize("function", [coroutine, generator, asynchronous_generator])
def test_what_does_not_run_where_it_is_called_is_refused(function: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match="is a coroutine or a generator"):
        stagedoor.traced("job")(function)


@pytest.mark.parametrize("name", ["", "a\nforged line", 7, "x" * 201])
def test_a_name_that_no_log_line_bears_is_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match="can't be shown in a log line"):
        stagedoor.traced(name)  # type: ignore[call-overload]
