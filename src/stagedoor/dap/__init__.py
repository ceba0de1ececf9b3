"""The Debug Adapter Protocol: its wire format (:mod:`.wire`, without a socket), which requests of a client are let through
and how (:mod:`.policy`, :mod:`.arguments`), and a client for scripts (:mod:`.client`, on a
:mod:`.conversation`; :mod:`.ide` with child sessions).
"""
