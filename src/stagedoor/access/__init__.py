"""Who is let in, for a request and for the debug port alike.

:mod:`.decision` is the one decision, in pure functions: who is let in, and as whom. It is asked about an address, which
:mod:`.client_address` takes from a request if no :mod:`proxy <.proxy_headers>` makes it doubtful, and about a token or one of
the :mod:`.passes` made of it, which :mod:`.carried_token` takes out of the request and :mod:`.trackers` out of what error
trackers have copied.

An address is read in :mod:`.addresses`, the entries of a list in :mod:`.allowlist`, of which :mod:`.lookup` makes what every
request asks; :mod:`.openness` says where a list lets in more than was meant.
"""
