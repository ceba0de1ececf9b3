"""Debugger back ends: how this process is debugged while a window is open."""
