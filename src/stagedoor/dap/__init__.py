"""The Debug Adapter Protocol, without a socket but for the client.

- Both ends: :mod:`.wire` is the format of messages, :mod:`.places` where something stands in one.
- One session in front of many workers: :mod:`.commands` is the table, a row for each command: when it may come, who
  answers, where numbers and paths stand. :mod:`.judging` decides by it, with :mod:`.arguments` for ``attach``.
  :mod:`.ids` are a session's numbers, :mod:`.paths` its path mappings, :mod:`.translation` its messages in a worker's
  numbers and paths and back. :mod:`.rules` say whose a breakpoint is.
- For scripts: :mod:`.conversation` is a connection, :mod:`.client` a client on it, :mod:`.ide` as much of an IDE as the
  demo and the tests need.
"""
