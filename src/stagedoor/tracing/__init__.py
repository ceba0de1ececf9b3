"""Which threads are traced, and a real stop: the only package that touches pydevd's internals.

pydevd is made to debug whole processes: it traces every thread, and a stop concerns all of them. Here the default is
deny: a thread is traced between :meth:`Tracing.enter` and :meth:`Tracing.leave` and at no other time, a stop pauses
its own thread only, and :meth:`Tracing.stop` leaves a process in which nothing of the debugger runs.

- What the others use: :mod:`.tracing` is the debugger of one window, its start, its end and its forks. It is built in
  layers, each on the one before: :mod:`.debuggee`, pydevd and its client; :mod:`.requests`, what a thread enters and
  leaves; :mod:`.pauses`, which of them wait, and on which errors. :mod:`.state` is what is known of a request, and how the
  rooms below see the debugger.
- What is traced: :mod:`.threads` in the two worlds, with :mod:`.monitoring` from Python 3.12 on; :mod:`.asyncviews` has what
  runs on other threads (:mod:`.arrival`: once asgiref is there); :mod:`.overflow` the recursion limit.
- Several developers: :mod:`.breakpoints` knows whose a line's are, :mod:`.setting` changes them without a gap, :mod:`.events`
  says whose each event is, :mod:`.printed` what an evaluation prints, :mod:`.sharing` who may pause one more, and
  :mod:`.asked` is what a gatekeeper asks for; :mod:`.addressed` sees to it that what it asks of one request reaches no other.
- pydevd: :mod:`.internals` is every name of it, :mod:`.shapes` how each has to look, :mod:`.debugger` its own class with
  every way to a pause closed, :mod:`.commands` what a client asks for and gets otherwise. :mod:`.starting` starts it, and
  :mod:`.ending` stops it, in :mod:`.steps` of which none is left out.
- Which debugpy: :mod:`.loading` and :mod:`.releases`; the :mod:`.selftest`, with its :mod:`.rehearsal`, proves one.

Everything that is used of debugpy and pydevd beyond ``debugpy``'s public API was verified with debugpy 1.8.22 on
CPython 3.11, 3.12 and 3.13. ``tests/facts/test_debugpy_facts.py`` fails when a release changes one of these facts; in
production a newer release is loaded only where the self-test (:mod:`stagedoor.tracing.selftest`) has passed.
"""

from .loading import Release, installed_release
from .releases import REMEDY, trust
from .state import EVERYBODY, Matching, Pause, Sessions, TracingListener
from .tracing import Tracing, current_tracing, refuse_other_debugger, stop_on_exception

__all__ = [
    "EVERYBODY",
    "REMEDY",
    "Matching",
    "Pause",
    "Release",
    "Sessions",
    "Tracing",
    "TracingListener",
    "current_tracing",
    "installed_release",
    "refuse_other_debugger",
    "stop_on_exception",
    "trust",
]
