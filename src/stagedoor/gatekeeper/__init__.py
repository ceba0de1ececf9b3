"""The gatekeeper: the small process, one per application and host, that owns the debug port while a window is open."""
