"""The errors of Stagedoor: one root, and children that carry their data.

Every message is a sentence for a person: what was refused, why, and what would be right.
"""

from __future__ import annotations


class StagedoorError(Exception):
    """Root of every error that Stagedoor raises."""


class ConfigurationError(StagedoorError, ValueError):
    """A setting is wrong. Raised at construction, never on a request.

    :param name: the keyword, environment variable or option, such as ``"allow"`` or ``"STAGEDOOR_UNTIL"``.
    :param value: the value as it was given.
    :param problem: what is wrong with it, as the end of the sentence "NAME=VALUE ...".
    :param remedy: what would be right, a whole sentence.
    """

    def __init__(self, name: str, value: object, problem: str, remedy: str = "") -> None:
        self.name = name
        self.value = value
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{name}={shortened(value)} {problem}." + (f" {remedy}" if remedy else ""))


class SwitchError(StagedoorError):
    """The switch can't be read, or what it holds can't be trusted: the window counts as closed.

    :param switch: which switch, as a person would name it, such as ``"the file switch /run/.../window.json"``.
    :param problem: what is wrong with it, as the end of the sentence "SWITCH ...".
    :param remedy: what to do, a whole sentence.
    :param as_owner: what to do instead where it is a command that was refused, because the switch is another user's.
    """

    def __init__(self, switch: str, problem: str, remedy: str = "", *, as_owner: str = "") -> None:
        self.switch = switch
        self.as_owner = as_owner
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{switch} {problem}." + (f" {remedy}" if remedy else ""))

    @property
    def for_a_command(self) -> str:
        """The same as it helps whoever runs a command; the application's log has another remedy."""
        return f"{self.switch} {self.problem}. {self.as_owner}" if self.as_owner else str(self)


class WindowRefused(StagedoorError):
    """A window was asked for that can't be opened or closed, such as one that is too long.

    :param problem: what was refused and why, a whole sentence.
    :param remedy: what to do, a whole sentence.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem + (f" {remedy}" if remedy else ""))


class PassRefused(StagedoorError):
    """A pass was asked for that can't be made, because no window is open for example.

    :param problem: what was refused and why, a whole sentence.
    :param remedy: what to do, a whole sentence.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem + (f" {remedy}" if remedy else ""))


class DebuggerError(StagedoorError):
    """The debugger can't be started or stopped: the request goes on undebugged.

    :param problem: what was refused and why, a whole sentence.
    :param remedy: what to do, a whole sentence.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem + (f" {remedy}" if remedy else ""))


def shortened(value: object, limit: int = 80) -> str:
    """``repr(value)`` for a message, cut after ``limit`` characters: a message is never as long as a bad file."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
