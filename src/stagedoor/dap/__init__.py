"""The Debug Adapter Protocol: its wire format (:mod:`.wire`, without a socket), which requests of a client are let through
and how (the table of :mod:`.commands`, on :mod:`.places` in messages, with :mod:`.arguments`; the decision by it is
:mod:`.judging`), and a client for scripts (:mod:`.client`, on a :mod:`.conversation`; :mod:`.ide`).

For one session in front of many workers: its numbers (:mod:`.ids`) and paths (:mod:`.paths`) and messages in them
(:mod:`.translation`), and whose a breakpoint is (:mod:`.rules`).
"""
