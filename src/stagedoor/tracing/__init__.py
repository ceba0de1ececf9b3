"""Which threads are traced, and a real stop: the only package that touches pydevd's internals.

pydevd is made to debug whole processes: it traces every thread, and a stop concerns all of them. Here the default is
deny: a thread is traced between :meth:`Tracing.enter` and :meth:`Tracing.leave` and at no other time, a stop pauses
its own thread only, and :meth:`Tracing.stop` leaves a process in which nothing of the debugger runs.

Everything that is used of debugpy and pydevd beyond ``debugpy``'s public API was verified with debugpy 1.8.22 on
CPython 3.11, 3.12 and 3.13. ``tests/facts/test_debugpy_facts.py`` fails when a release changes one of these facts; in
production a newer release is loaded only where the self-test (:mod:`stagedoor.tracing.selftest`) has passed.
"""

from .loading import Release, installed_release
from .releases import REMEDY, trust
from .state import Matching, Pause, TracingListener
from .tracing import Tracing, current_tracing, refuse_other_debugger, stop_on_exception

__all__ = [
    "REMEDY",
    "Matching",
    "Pause",
    "Release",
    "Tracing",
    "TracingListener",
    "current_tracing",
    "installed_release",
    "refuse_other_debugger",
    "stop_on_exception",
    "trust",
]
