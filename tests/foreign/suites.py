"""The suites that are run, and what of them is left out, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Suite:
    """The tests of one source archive.

    :param name: as the table names it.
    :param distribution: of which the archive is, in the version that is installed here; empty for Python's own tests.
    :param kind: who runs it: ``pytest``, ``unittest``, or Django's ``runtests.py``.
    :param places: where its applications are called, see :mod:`foreign.places`.
    :param arguments: of the runner.
    :param folder: where in the archive it runs.
    :param left_out: what is left out, as arguments of the runner, and why, a sentence each.
    """

    name: str
    distribution: str
    kind: str
    places: tuple[str, ...]
    arguments: tuple[str, ...]
    folder: str = "."
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def command(self) -> list[str]:
        return [*self.arguments, *(argument for argument, _ in self.left_out)]


#: Nothing of the archive's own configuration is changed, but for plugins that would make two runs differ.
_PYTEST = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout=60")
_SERVES = "They start servers in processes of their own, where nothing is wrapped."

SUITES = (
    Suite(
        "werkzeug", "Werkzeug", "pytest", ("werkzeug",), (*_PYTEST, "tests"),
        left_out=(("--ignore=tests/test_serving.py", _SERVES),),
    ),
    Suite("flask", "Flask", "pytest", ("werkzeug",), (*_PYTEST, "tests")),
    Suite(
        "django", "Django", "django", ("django",),
        (
            "--parallel", "1", "test_client", "test_client_regress", "handlers", "wsgi", "middleware", "middleware_exceptions",
            "csrf_tests", "sessions_tests", "responses", "httpwrappers", "conditional_processing", "messages_tests",
            "requests_tests", "file_uploads", "staticfiles_tests", "servers", "view_tests", "generic_views", "auth_tests",
            "urlpatterns_reverse", "logging_tests", "async",
        ),
        folder="tests",
    ),
    Suite("webob", "WebOb", "pytest", ("webob",), (*_PYTEST, "tests")),
    Suite(
        "pyramid", "pyramid", "pytest", ("webob",), (*_PYTEST, "tests/test_integration.py", "tests/test_router.py"),
        left_out=(
            (
                "--deselect=tests/test_integration.py::MemoryLeaksTest::test_memory_leaks",
                "It sends no request, and wants the process to have as many objects as before; the debugger's threads have one or"
                " two more or less at any time.",
            ),
        ),
    ),
    Suite("bottle", "bottle", "pytest", ("wsgiref",), (*_PYTEST, "test")),
    Suite("wsgiref", "", "unittest", ("wsgiref",), ("test.test_wsgiref",)),
)  # fmt: skip

# Not among them: whitenoise, whose archive leaves out a module that its tests import; Falcon, whose archive takes a compiler.

#: What the suites import beside what the extra "test" installs: the newest pytest is too new for Flask's own tests.
NEEDED = ("pytest>=8.3,<9", "pytest-timeout", "ephemeral-port-reserve", "WebTest", "legacy-cgi")
