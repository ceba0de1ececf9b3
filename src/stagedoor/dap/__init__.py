"""The Debug Adapter Protocol: its wire format (:mod:`.wire`, without a socket), which requests of a client are let through
and how (:mod:`.policy`, :mod:`.arguments`), and a client for scripts (:mod:`.client`, on a
:mod:`.conversation`; :mod:`.ide` with child sessions).

For one session in front of many workers: the table of commands (:mod:`.commands`, on :mod:`.places` in messages), the
decision by it (:mod:`.judging`), a session's numbers (:mod:`.ids`) and paths (:mod:`.paths`) and messages in them
(:mod:`.translation`), and whose a breakpoint is (:mod:`.rules`).
"""
