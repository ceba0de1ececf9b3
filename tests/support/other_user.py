"""Another user of this machine: code in a process of its own that has become ``nobody``."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Self

import pytest

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user too")

_BECOME = f"""
import encodings.idna, json, os, socket, sys  # What is not loaded by now may be in a folder that it may not read.
from contextlib import suppress
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
def say(text):
    print(text, flush=True)
def heard():
    return sys.stdin.readline().strip()
"""

#: Connects as often as it is told, says what it is told on each, and keeps them.
CROWD = """
port, count, what = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
held = []
for number in range(count):
    held.append(socket.create_connection(("127.0.0.1", port), 10))
    with suppress(OSError):  # It was sent away at once.
        held[-1].sendall(what)
say("connected")
heard()
"""

_LISTENER = """
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
listener = socket.socket(family)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if family == socket.AF_INET6:
    # Whether all IPv4 addresses are left to others; it says nothing where one address is taken.
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(sys.argv[3]))
"""

#: Has a port before anybody else, keeps what is said to it, lets go of it when it is told to.
THIEF = f"""{_LISTENER}
listener.bind((sys.argv[1], int(sys.argv[2])))
listener.listen(5)
say("listening")
heard()
listener.close()
say("gone")
heard()
"""

#: Tries to get a port, and says whether it has.
LATE_THIEF = f"""{_LISTENER}
import errno
try:
    listener.bind((sys.argv[1], int(sys.argv[2])))
    listener.listen(5)
    say("listening")
except OSError as error:
    say(errno.errorcode[error.errno])
heard()
"""

#: Has a port without listening, which the kernel's tables do not show.
HIDDEN_THIEF = """
listener = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
listener.bind((sys.argv[1], int(sys.argv[2])))
say("bound")
heard()
listener.close()
say("gone")
heard()
"""


class OtherUser:
    """Runs ``code`` as ``nobody``. It can ``say(text)`` a line, and ``heard()`` waits for one.

    :param arguments: what it finds in ``sys.argv``.
    """

    def __init__(self, code: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BECOME + code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def says(self, expected: str) -> None:
        """Wait until it has said so."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == expected

    def tell(self, text: str = "") -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()
