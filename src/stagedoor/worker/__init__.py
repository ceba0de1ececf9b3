"""This process while a window is open.

:mod:`.watch` knows the window. A :mod:`back end <.backend>` debugs the process: :mod:`.gatekeeper` with a
:mod:`.membership` in the gatekeeper, which :mod:`.launcher` finds or starts and after which :mod:`.leftovers` cleans up, or
:mod:`.listen`. Each window has a :mod:`.run` with a thread of its own, which :mod:`.waker` wakes. :mod:`.proof` tests a
release of debugpy that is not known. What surrounds us: :mod:`.servers`, :mod:`.diagnostics` and :mod:`.shared_caches`, said
once in a window by :mod:`.lookout`.
"""
