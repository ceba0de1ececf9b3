"""Who is let in, for a request and for the debug port alike.

:mod:`.decision` is the one decision, a pure function. What it is asked about: an address (:mod:`.allowlist`, with
:mod:`.openness` for lists that let in more than was meant), which :mod:`.client_address` takes from a request if no
:mod:`proxy <.proxy_headers>` makes it doubtful, and a token, which :mod:`.carried_token` takes out of the request and
:mod:`.trackers` out of what error trackers have copied.
"""
