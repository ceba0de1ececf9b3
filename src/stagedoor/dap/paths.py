"""What the client calls the server's files, and the other way round.

Each session has path mappings of its own, so they are applied here, and the debuggers, which the sessions share, get
none. Nothing is looked up on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

System = Literal["unix", "windows"]

#: A path, taken apart: what it begins with (``/``, ``C:/``, ``//`` for a share; nothing if it is relative), and its
#: components.
_Parts = tuple[str, tuple[str, ...]]

_WORKSPACE = "${workspaceFolder}"


class PathMappings:
    """The ``pathMappings`` of one ``attach``.

    Of several that fit, the one with the most components counts, and of these the first. Components are compared whole:
    ``/srv/shop`` has nothing to do with ``/srv/shop2``. A Windows client's are compared without their case and with either
    slash; what comes after the prefix keeps its case, as the server needs it.

    :param mappings: objects with ``localRoot`` and ``remoteRoot``. One without either is skipped, as debugpy does it.
    :param client_os: how the client writes its paths. The server's are POSIX paths.
    :param working_directory: the workers', an absolute path: what a relative ``remoteRoot`` (VS Code's template says
        ``"."``) starts from.
    :param workspace_folder: what ``${workspaceFolder}`` stands for, at any place; ``None``: the client did not say.
    """

    def __init__(
        self,
        mappings: Sequence[Mapping[str, str]],
        client_os: System,
        working_directory: str,
        workspace_folder: str | None = None,
    ) -> None:
        self._windows = client_os == "windows"
        self._roots: list[tuple[_Parts, _Parts]] = []
        #: What of the mappings has no effect, and why: sentences for the developer.
        self.doubts: list[str] = []
        for mapping in mappings:
            local, remote = mapping.get("localRoot", ""), mapping.get("remoteRoot", "")
            if not local or not remote:
                continue
            if workspace_folder is not None:
                local, remote = (root.replace(_WORKSPACE, workspace_folder) for root in (local, remote))
            elif _WORKSPACE in local + remote:
                self._doubt(mapping, f'the client did not say what {_WORKSPACE} is ("workspaceFolder" of its attach)')
                continue
            if not remote.startswith("/"):
                remote = f"{working_directory}/{remote}"
            client = self._client_parts(local)
            if not client[0]:
                self._doubt(mapping, f'"localRoot" is no absolute path on {"Windows" if self._windows else "Unix"}')
                continue
            self._roots.append((client, _parts(remote)))

    @classmethod
    def of_attach(cls, arguments: Mapping[str, Any], working_directory: str) -> PathMappings:
        """Those of an ``attach`` that was let in."""
        system = str(arguments.get("clientOS", "")).lower()
        if not system and "WindowsClient" in arguments.get("debugOptions", ()):
            system = "windows"
        folder = arguments.get("workspaceFolder")
        return cls(
            arguments.get("pathMappings", ()),
            "windows" if system == "windows" else "unix",
            working_directory,
            folder if isinstance(folder, str) and folder else None,
        )

    def to_server(self, path: str) -> str:
        """What the server calls a file of the client's; without a mapping that fits, what the client calls it."""
        client = self._client_parts(path)
        if not client[0]:
            return path  # <string>, or what the client made up
        server = self._mapped_to_server(client)
        if server is not None:
            return _text(server)
        # A server's path that the client was shown may come back. A drive or a share is nothing that a server has.
        return _text(client) if client[0] == "/" else path

    def to_client(self, path: str) -> str:
        """What the client calls a file of the server's; without a mapping that fits, what the server calls it."""
        client = self._client_path(path)
        if client is not None:
            return client
        return path.replace("/", "\\") if self._windows and path.startswith("/") else path

    def knows(self, path: str) -> bool:
        """Whether the client has this file of the server's, by its mappings; if it has none, it has them all.

        The source of another one has to come from the server.
        """
        return not self._roots or self._client_path(path) is not None

    def _client_path(self, path: str) -> str | None:
        server = _parts(path)
        for client_root, tail in _candidates([(theirs, ours) for ours, theirs in self._roots], server):
            client = (client_root[0], client_root[1] + tail)
            text = _text(client).replace("/", "\\") if self._windows else _text(client)
            # Not if that is what the client calls another file: then it has none of this one.
            if self._mapped_to_server(self._client_parts(text)) == server:
                return text
        return None

    def _mapped_to_server(self, client: _Parts) -> _Parts | None:
        for server_root, tail in _candidates(self._roots, client, self._windows):
            return (server_root[0], server_root[1] + tail)
        return None

    def _client_parts(self, path: str) -> _Parts:
        return _windows_parts(path) if self._windows else _parts(path)

    def _doubt(self, mapping: Mapping[str, str], why: str) -> None:
        self.doubts.append(f"The path mapping of {mapping['localRoot']!r} has no effect: {why}.")


def _candidates(
    roots: list[tuple[_Parts, _Parts]], path: _Parts, any_case: bool = False
) -> list[tuple[_Parts, tuple[str, ...]]]:
    """For each root that ``path`` is in, the longest first: what it is called on the other side, and what comes after."""
    fitting = [(root, other) for root, other in roots if _same(root, (path[0], path[1][: len(root[1])]), any_case)]
    fitting.sort(key=lambda pair: -len(pair[0][1]))
    return [(other, path[1][len(root[1]) :]) for root, other in fitting]


def _same(one: _Parts, other: _Parts, any_case: bool) -> bool:
    if not any_case:
        return one == other
    return one[0].lower() == other[0].lower() and [p.lower() for p in one[1]] == [p.lower() for p in other[1]]


def _parts(path: str) -> _Parts:
    anchor = "/" if path.startswith("/") else ""
    return anchor, _without_dots(path.split("/"))


def _windows_parts(path: str) -> _Parts:
    path = path.replace("\\", "/")
    if len(path) > 2 and path[1:3] == ":/":
        return path[:3], _without_dots(path[3:].split("/"))
    if len(path) == 2 and path[1] == ":":
        return f"{path}/", ()
    if path.startswith("//"):
        return "//", _without_dots(path.split("/"))
    return _parts(path)


def _without_dots(components: list[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for component in components:
        if component == "..":
            del kept[-1:]
        elif component not in ("", "."):
            kept.append(component)
    return tuple(kept)


def _text(parts: _Parts) -> str:
    return parts[0] + "/".join(parts[1])
