"""What the debugger has switched on in this process at this moment."""

from __future__ import annotations

import sys
from typing import Any


def global_events() -> int:
    """The debugger's events of ``sys.monitoring`` that concern every thread; 0 below Python 3.12."""
    monitoring: Any = getattr(sys, "monitoring", None)
    if monitoring is None or monitoring.get_tool(monitoring.DEBUGGER_ID) is None:
        return 0
    return int(monitoring.get_events(monitoring.DEBUGGER_ID))
