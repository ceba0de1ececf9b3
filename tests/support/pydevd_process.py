"""A process with pydevd itself at a port, without debugpy's adapter in between."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

SCRIPT = """\
import sys
import threading
import debugpy

def double(number):
    result = number * 2
    print(result, flush=True)

debugpy.configure(subProcess=False)
print(debugpy.listen(("127.0.0.1", 0), in_process_debug_adapter=True)[1], flush=True)
for line in sys.stdin:
    threading.Thread(target=double, args=(int(line),), daemon=True).start()
"""


class Worker:
    def __init__(self, script: Path, process: subprocess.Popen[str]) -> None:
        self.script = script
        self.process = process
        self.port = int(self.line())

    def run(self, number: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def line(self, timeout: float = 20) -> str:
        assert self.process.stdout is not None
        ready = select.select([self.process.stdout], [], [], timeout)[0]
        return self.process.stdout.readline().strip() if ready else ""


@contextmanager
def worker_in(folder: Path) -> Iterator[Worker]:
    """One that doubles numbers, each on a thread of its own; its breakpoint's place is line 6."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    with ExitStack() as stack:
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(script)],
                env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"},
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        stack.callback(process.kill)
        yield Worker(script, process)
