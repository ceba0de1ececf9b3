"""Every setting, its default, and how it is read: :mod:`.settings`; the debug port in :mod:`.bind`, and which requests stop
by themselves in :mod:`.break_on`.
"""
