"""How long this process waits for what, while a window is open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Every limit of a worker's waiting, in seconds."""

    #: That a matching request waits for the debugging of a window to begin; it then goes on undebugged.
    start: float = 3.0
    #: After which what could not be started is tried again. By then an application that was restarted has another
    #: gatekeeper, or a port is free.
    retry: float = 30.0
    #: That a worker tries to reach or to start the gatekeeper, and again for it to answer once it has started one.
    gatekeeper: float = 5.0
    #: That matching requests wait for the debugger to be loaded, and again for the gatekeeper to configure it: from the
    #: beginning of either. Whoever comes later than that goes on at once until it is done.
    join: float = 3.0


USUAL = Patience()
