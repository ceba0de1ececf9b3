"""The test application in a process that has more files open than ``select()`` can count (FD_SETSIZE, 1024)."""

from __future__ import annotations

import os
import resource

from support.application import application

__all__ = ["application"]

resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
