"""How long the gatekeeper waits for whom, and how much it bears of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """Every limit of a gatekeeper. Times are in seconds, sizes in bytes."""

    # At the debug port

    #: Within which a connection must have sent an ``attach`` that is let in, and after that ``configurationDone``.
    handshake: float = 10.0
    #: That a client has for its ``disconnect`` when its session is over. VS Code takes a connection that ends before that
    #: for a crash of the debug adapter, and says so in a notification.
    farewell: float = 0.5
    #: The largest message that is read from a client before its ``attach`` is let in. Path mappings and rules are the
    #: longest part of one.
    handshake_body: int = 64 * 1024
    #: Messages that are read from a client before its ``attach`` is let in. VS Code sends two; whoever keeps on talking
    #: would keep this process from everybody else.
    handshake_messages: int = 100
    #: What this process keeps for one connection and its session, because a client or a worker does not read or answer, and
    #: of what they have told; then that session ends. One message may come on top of it, of up to
    #: :data:`~stagedoor.dap.wire.DEBUGGER_BODY_CAP` bytes.
    kept: int = 32 * 1024 * 1024
    #: Connections that are no session, at most: they have not attached yet, or were refused and have a moment to say
    #: farewell. For one more one of them ends: see :func:`~.crowd.to_evict`.
    waiting: int = 64

    # In a session

    #: That a client's attach waits for the workers to have its breakpoints, and again for them to know of it, at most. A
    #: worker that loads the debugger, because somebody else has just attached, reads of it when it is through; as long as
    #: requests wait for that too.
    seen: float = 3.0
    #: That the workers have to confirm breakpoints before a client is answered; what they say later it learns by events.
    confirmed: float = 0.3
    #: That pydevd has for an answer to one of the requests with which it is set up and left.
    answer: float = 5.0
    #: That it has for its breakpoints until it is said that it takes long: pydevd compares each one with each line of its
    #: function, which took 13 s for 200 in one of 6,000 lines.
    slow: float = 1.0
    #: And until it is given up, while it is being set up.
    setting: float = 60.0
    #: Sessions at the same time.
    sessions: int = 16
    #: Requests of a client that may be unanswered at the same time.
    unanswered: int = 1000

    # At the control socket

    #: Within which a connection must have said what it is for.
    first_line: float = 5.0
    #: That the last connection of a worker may take to end when it says hello again.
    predecessor: float = 0.5
    #: That a peer has to read what was sent to it, once its connection is over.
    control_farewell: float = 0.2

    # For the end

    #: Between two looks at the switch and the clock.
    tick: float = 0.2
    #: That it waits for its first worker; ``None``: it runs in the foreground, and stays until the window's end, whoever
    #: comes and goes.
    idle: float | None = 10.0
    #: That it stays when its last worker has gone and nobody is attached: the server may have died.
    left: float = 0.5
    #: The same while somebody is attached, where only workers can read the window's switch: nobody can tell any more
    #: whether the window was closed. Long enough for a restart.
    orphaned: float = 60.0
    #: How long before the window's end the developer is warned.
    warnings: tuple[float, ...] = (300.0, 60.0)


#: Of one that a worker has started.
USUAL = Patience()
#: Of one that runs in the foreground.
FOREGROUND = Patience(idle=None)
