"""What a client is told that it may do: the answer to ``initialize``."""

from __future__ import annotations

from typing import Any

_EXCEPTION_FILTERS = [
    ("raised", "Raised Exceptions", False, "Break whenever any exception is raised."),
    ("uncaught", "Uncaught Exceptions", True, "Break when the process is exiting due to unhandled exception."),
    ("userUnhandled", "User Uncaught Exceptions", False, "Break when exception escapes into library code."),
]

#: What debugpy's own adapter announces (1.8.22), with its labels and defaults, without what is withheld: exception
#: options, of which pydevd knows no more than the filters say, and what the table of commands refuses.
CAPABILITIES: dict[str, Any] = {
    "supportsCompletionsRequest": True,
    "supportsConditionalBreakpoints": True,
    "supportsConfigurationDoneRequest": True,
    "supportsDebuggerProperties": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsEvaluateForHovers": True,
    "supportsExceptionInfoRequest": True,
    "supportsFunctionBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsModulesRequest": True,
    "supportsSetExpression": True,
    "supportsSetVariable": True,
    "supportsValueFormattingOptions": True,
    "supportsGotoTargetsRequest": True,
    "supportsClipboardContext": True,
    "supportsStepInTargetsRequest": True,
    "exceptionBreakpointFilters": [
        {"filter": name, "label": label, "default": default, "description": description}
        for name, label, default, description in _EXCEPTION_FILTERS
    ],
}
