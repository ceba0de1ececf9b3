"""The gatekeeper: the small process, one per application and host, that owns the debug port while a window is open.

It is a multiplexer: sessions on one side, workers on the other. All of it runs on one event loop.

- The process: :mod:`.__main__` starts it, :mod:`.foreground` starts one for each window; :mod:`.process` is its parts and its
  end, :mod:`.expiry` when that comes, :mod:`.patience` every limit, :mod:`.reporting` the audit, which a worker writes.
- The debug port: :mod:`.port` opens it, where :mod:`.port_holders` could have been first; :mod:`.listener` is a listening
  socket, :mod:`.port_server` serves it. Who may attach, and as whom: :mod:`.peers`; who gives way: :mod:`.crowd`; whose a
  connection is: :mod:`.tcp_table`.
- A developer: :mod:`.client` is the connection, before and after it is let in, :mod:`.capabilities` the answer to
  ``initialize``. :mod:`.session` is what the client asks and is told; of it, :mod:`.answers` is what is answered here,
  :mod:`.asking` what is asked of a worker, :mod:`.requests` are the threads, :mod:`.files` what it was shown of the server's,
  :mod:`.wanted` what it wants of every debugger, :mod:`.deeds` what is recorded of what the developer does, and
  :mod:`.tally` counts what it makes this process keep.
- All of them: :mod:`.sessions` is who is attached, and what they and the workers hear of each other; :mod:`.company` is how one
  session sees that.
- The workers: :mod:`.control_server` is their end of the control socket, :mod:`.workers` what is known of each,
  :mod:`.debuggee` the connection of its pydevd, and :mod:`.joined` that debugger, set up and kept as the sessions want it.
  :mod:`.fleet` is all of these, :mod:`.breakpoints` all sessions' breakpoints merged for them, :mod:`.events` whose what they
  say is.

What a message may be, and which number or path in it means what, is :mod:`stagedoor.dap`'s and knows no socket.
"""
