"""Why this process can't be debugged: every reason there is, and when it is asked for.

1. For each matching request, before anything of a debugger is imported: :func:`refusal`. The response says it, and the log.
2. Once the window's run has begun to start: how many requests may be paused (:meth:`Preflight.pauses`). Where it is none the
   request goes on undebugged as well, but a developer who is attached is told.
3. On the window's thread, just before the debugger starts: :func:`refuse_other_debugger`. By then somebody else may have
   started one; :meth:`Tracing.start` asks once more, under its lock, and whether the debugger's place in
   ``sys.monitoring`` is taken.

Which release of debugpy is trusted is no matter of this process: see :mod:`.proof`.
"""

from __future__ import annotations

from stagedoor.tracing import refuse_other_debugger

from .servers import Pauses, Process, Server, pauses, surrounding_server, this_process, threads_inside

__all__ = ["Preflight", "danger", "refusal", "refuse_other_debugger"]

_SEVERAL_PROCESSES = (
    "The server runs several processes, and the listen back end can debug only one."
    " Run one process with threads (gunicorn: --workers 1 --threads 8)."
)


class Preflight:
    """Asks the process in which it is; nothing is judged here.

    :param threads: how many threads the server has, as the operator says; of one that can be asked its own word counts.
    :param is_alone: the debugger can debug one process of the server only, and has no console before it has started.
    """

    def __init__(self, threads: int | None = None, *, is_alone: bool = False) -> None:
        self._threads = threads
        self._is_alone = is_alone
        self._server: Server | None = None
        #: The most requests that were seen inside at once.
        self._seen = 0

    def refusal(self, *, multiprocess: bool, multithread: bool) -> str | None:
        """Why the request that the calling thread serves can't be debugged, sentences, or ``None``.

        :param multiprocess: ``environ["wsgi.multiprocess"]``.
        :param multithread: ``environ["wsgi.multithread"]``.
        """
        return refusal(
            this_process(),
            self.server(),
            has_too_many_processes=multiprocess and self._is_alone,
            # There would be nobody to tell later.
            unpaused=self.pauses(multithread=multithread).reason if self._is_alone else None,
        )

    def server(self) -> Server:
        """The server around the request that the calling thread serves; one that can't be told is looked for again."""
        server = self._server
        if server is None or server.threads is None:
            server = self._server = surrounding_server()
        return server

    def pauses(self, *, multithread: bool) -> Pauses:
        """How many requests of this process may be paused at the same time."""
        server = self.server()
        if server.threads is None and self._threads is None:
            self._seen = max(self._seen, threads_inside())
        return pauses(server, configured=self._threads, seen=self._seen, multithread=multithread)

    def look_afresh(self) -> None:
        """Look for the server again, whose threads may be others by now."""
        self._server = None

    def forget_in_child(self) -> None:
        """In a forked child, whose server may be another one."""
        self._server = None
        self._seen = 0


def refusal(
    process: Process, server: Server, *, has_too_many_processes: bool = False, unpaused: str | None = None
) -> str | None:
    """Why no request can be debugged, sentences, or ``None``. Of several reasons the one that is to be mended first: with
    more threads a server still has too many processes.

    :param process: where it would run.
    :param server: what calls the application.
    :param has_too_many_processes: whether it has processes that the debugger can't reach.
    :param unpaused: why no request may be paused, if that is a reason not to begin at all.
    """
    return _SEVERAL_PROCESSES if has_too_many_processes else danger(process) or server.refusal or unpaused


def danger(process: Process) -> str | None:
    """Why a debugger would kill such a process, or stop it as a whole, and what to do, sentences; or ``None``."""
    if process.in_subinterpreter and process.python < (3, 12):
        # PyGILState_Ensure in pydevd's native code takes the main interpreter's state, and waits for itself.
        place = "a sub-interpreter, and below Python 3.12 a debugger there hangs the whole process for good."
        if process.mod_wsgi is not None:
            return f"mod_wsgi runs this application in {place} Set WSGIApplicationGroup %{{GLOBAL}} in Apache."
        if process.is_uwsgi:
            return f"uWSGI runs this application in {place} Mount it alone, in a uWSGI of its own."
        return f"This application runs in {place} Run it in the main interpreter."
    if process.mod_wsgi is not None and process.mod_wsgi >= (6,) and process.is_daemon and process.python < (3, 12):
        return (
            "Below Python 3.12 a debugged thread of mod_wsgi 6 in daemon mode never stops running."
            " Use Python 3.12 or newer, or mod_wsgi 5."
        )
    if process.hub is not None:
        what = "has patched this process" if process.is_patched else "serves this request"
        return (
            f"{process.hub} {what}: all its requests share one thread, and a pause would stop them all."
            " Serve the application with threads, for example gunicorn's gthread worker, while you debug it."
        )
    if not process.runs_threads:
        return (
            "uWSGI runs no Python threads in this process, and the debugger needs some. Start it with --enable-threads."
        )
    return None
