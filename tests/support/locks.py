"""A process that gets no lock, as on a file system that has none."""

from __future__ import annotations

import platform

import pytest

#: Number of the system call ``flock``, and what the kernel's filters call this machine.
_FLOCK = {"x86_64": (73, 0xC000003E), "aarch64": (32, 0xC00000B7)}.get(platform.machine())

filters_calls = pytest.mark.skipif(_FLOCK is None, reason="the number of flock() on this machine is not known here")

#: Has the kernel answer each ``flock`` of the process that runs it with ENOLCK, as it does for some network file systems.
NO_LOCKS = f"""
import ctypes, struct
number, machine = {_FLOCK!r}
def step(code, yes, no, value):
    return struct.pack("HBBI", code, yes, no, value)
steps = [
    step(0x20, 0, 0, 4), step(0x15, 0, 3, machine),  # another machine's calls are left alone
    step(0x20, 0, 0, 0), step(0x15, 0, 1, number),
    step(0x06, 0, 0, 0x00050000 | 37),
    step(0x06, 0, 0, 0x7FFF0000),
]
held = ctypes.create_string_buffer(b"".join(steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(held))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0
assert prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0, ctypes.get_errno()
"""
