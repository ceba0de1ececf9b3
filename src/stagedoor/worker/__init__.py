"""This process while a window is open.

:mod:`.watch` knows the window, :mod:`.history` what is recorded of it, :mod:`.preflight` why this process can't be debugged.
The :mod:`debugger <.backend>` makes a :mod:`.run` for each window, with a :mod:`.life` of its own: :class:`.listen.Listening`
with debugpy's :mod:`.adapter`, or the :mod:`.membership` of the gatekeeper, with its :mod:`.link` (:mod:`.waker`) and those
who wait for a debugger :mod:`.joining`. :mod:`.launcher` finds or starts the gatekeeper. :mod:`.limits` end pauses, and
:mod:`.patience` what else is waited for; :mod:`.recording` says what happened, :mod:`.proof` has a release tested that is not
known, :mod:`.interpreter` starts processes. What surrounds us: :mod:`.servers`, :mod:`.diagnostics` and
:mod:`.shared_caches`, said once in a window by :mod:`.lookout`.

**Threads**

- *The server's*, one a request: :meth:`.backend.Debugger.arm` begins a run, or waits for one to begin and to join, bounded.
  It is traced between enter and leave, and may be paused. It stops nothing: pydevd's stop waits for pydevd's threads.
- *The application's*, in a job or in an async view of a matching request: they enter and leave as well,
  may be paused, and never wait for a start.
- *stagedoor-window*, one a run. It alone begins, speaks with the gatekeeper, brings pydevd, looks at the switch without a
  request, ends what is paused too long, and stops everything.
- *stagedoor-loading*, for as long as the debugger is being imported: the window's thread hears meanwhile who attaches.
- *pydevd's*, from its start to its stop: they read what the gatekeeper asks for all sessions (of listen: the client), and
  tell the run when they are configured.
- *Whoever ends it*, with ``close`` or as the server ends: wakes the window's thread and waits for it, bounded. As the server
  ends that is before Python joins the pools' threads, which would wait for a paused request (``_stop_at_exit``).

**Locks**, and what each guards

- ``Debugger._lock``: a window has one run. ``Life.ready``, ``Life._cancelled``: it has begun; it is to end.
- ``Joining._changed``: who is attached, whether a debugger joins, until when that is waited for.
- ``Waker._lock``: nobody writes to a pipe that has been closed. Taken under ``Joining._changed``.
- ``WindowWatch._lock``: one look at the switch at a time. A disk may hang in it, so whoever else asks waits bounded.
- ``_start.lock`` in :mod:`stagedoor.tracing`: a process starts or stops one debugger at a time. Taken under no other.
- ``Tracing._lock``: no thread enters that the stop has not seen. ``Tracing._pausing``: no more are paused than may be.
- ``Printed._lock``: which evaluations stand in the place of ``sys.stdout``. Nobody evaluates under it.
- ``SwitchedMonitoring._lock``, from Python 3.12: events are switched on and off whole. Taken under ``_start.lock`` and
  ``Tracing._lock``.

In a forked child all of them are made anew: :mod:`stagedoor.forking`.

**The end**, on the window's thread (:meth:`.life.Life._work`), when the window is over, the gatekeeper or listen's debugger is
gone, the server's master is, the worker has to end while a request is paused, or somebody has asked for it; and what breaks
without a step, or elsewhere

1. ``is_ending``, else a window that goes on, as after its gatekeeper was killed, would keep a run that is over, and none of
   its requests would be debugged any more. The run's ``tracing`` is let go of, else requests that come during step 2 would
   still enter and be paused. The next run may be made from here on: its thread waits for this one (``start(after=)``), as
   pydevd is one.
2. Of the gatekeeper: who waits for the join goes on (else for up to 3 s with nothing to come); a gatekeeper that can't read
   the switch is told that the window was closed (else it keeps the port: for 60 s while somebody is attached); the control
   connection ends. After step 3 the developer would read that the worker's debugger has ended, and not why.
3. :meth:`Tracing.stop <stagedoor.tracing.Tracing.stop>`, of which no step is left out if another one fails
   (:mod:`stagedoor.tracing.steps`):

   a. No thread enters any more, nobody is paused anew, nobody pays (``Tracing.stop``, ``threads.ended``). Later, what still
      runs on would stop again where it was just resumed.
   b. pydevd's disconnect, all that is paused runs on, its threads and its connection end, its settings are gone. The
      order, and what hangs or stays otherwise: ``steps_of_stop`` in :mod:`stagedoor.tracing.ending`.
   c. What pydevd keeps on threads, which keeps the debugger in memory for as long as a pooled thread lives.
   d. What stands in the place of asgiref's parts, and of pydevd's, through which that goes until b is done; and the place in
      ``sys.monitoring``, without which the next window gets none.
   e. The application's ``breakpoint()``, last: behind it there has to be no debugger any more.

4. Of listen: debugpy's adapter, else the port stays open for as long as a client keeps its socket.
5. The watch looks at the switch. Where it was the gatekeeper that ended the run, the window's end would be recorded with the
   next request, whenever that comes. A disk may hang in it, and what is paused waits for none: so after 3.
6. What a killed gatekeeper has left (:mod:`stagedoor.control.leftovers`), also where nothing had begun. It may wait for 3 s,
   which no paused request can: so last.
"""
