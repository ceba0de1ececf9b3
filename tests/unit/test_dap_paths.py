"""Path mappings: both ways, for clients on Unix and on Windows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagedoor.dap.paths import PathMappings, System

DIRECTORY = "/srv/shop"


def mappings(*pairs: tuple[str, str], system: System = "unix", folder: str | None = None) -> PathMappings:
    listed = [{"localRoot": local, "remoteRoot": remote} for local, remote in pairs]
    return PathMappings(listed, system, DIRECTORY, folder)


# What the client calls it, what the server calls it, with these mappings.
BOTH_WAYS: dict[str, tuple[PathMappings, str, str]] = {
    "one root": (mappings(("/home/anna/shop", "/srv/shop")), "/home/anna/shop/views.py", "/srv/shop/views.py"),
    "the root itself": (mappings(("/home/anna/shop/", "/srv/shop")), "/home/anna/shop", "/srv/shop"),
    "the workers' directory": (mappings(("/home/anna/shop", ".")), "/home/anna/shop/views.py", "/srv/shop/views.py"),
    "below the workers' directory": (mappings(("/a", "./app/")), "/a/x.py", "/srv/shop/app/x.py"),
    "beside the workers' directory": (mappings(("/a", "../lib")), "/a/x.py", "/srv/lib/x.py"),
    "the longest prefix, last": (mappings(("/a", "/x"), ("/a/b", "/y")), "/a/b/c.py", "/y/c.py"),
    "the longest prefix, first": (mappings(("/a/b", "/y"), ("/a", "/x")), "/a/b/c.py", "/y/c.py"),
    "the longest prefix of the server's": (mappings(("/a", "/x"), ("/b", "/x/y")), "/b/c.py", "/x/y/c.py"),
    "whole components": (mappings(("/a/shop", "/x"), ("/a", "/y")), "/a/shop2/c.py", "/y/shop2/c.py"),
    "the first of two that are as long": (mappings(("/a", "/x"), ("/b", "/x")), "/a/c.py", "/x/c.py"),
    "everything": (mappings(("/", "/mnt")), "/c.py", "/mnt/c.py"),
    "the workspace": (mappings(("${workspaceFolder}", "."), folder="/w"), "/w/c.py", "/srv/shop/c.py"),
    "below the workspace": (mappings(("${workspaceFolder}/back", "/x"), folder="/w"), "/w/back/c.py", "/x/c.py"),
    "beside the workspace": (mappings(("${workspaceFolder}/../lib", "/x"), folder="/w"), "/lib/c.py", "/x/c.py"),
    "the workspace in the middle": (mappings(("/mnt${workspaceFolder}", "/x"), folder="/w"), "/mnt/w/c.py", "/x/c.py"),
    "the workspace on the server": (
        mappings(("${workspaceFolder}", "${workspaceFolder}"), ("/", "/other"), folder="/w"), "/w/c.py", "/w/c.py",
    ),
    "no mapping": (mappings(), "/srv/shop/c.py", "/srv/shop/c.py"),
    "no mapping that fits": (mappings(("/a", "/x")), "/usr/lib/c.py", "/usr/lib/c.py"),
    "no mapping that fits, one that begins so": (mappings(("/a", "/x")), "/ab/c.py", "/ab/c.py"),
    "what is no file": (mappings(("/", "/x")), "<string>", "<string>"),
    "Windows": (mappings((r"C:\shop", "/srv/shop"), system="windows"), r"C:\shop\a\B.py", "/srv/shop/a/B.py"),
    "Windows, the other slash": (mappings(("C:/shop/", "/x"), system="windows"), r"C:\shop\a.py", "/x/a.py"),
    "Windows, a whole drive": (mappings(("D:\\", "/x"), system="windows"), r"D:\a\b.py", "/x/a/b.py"),
    "Windows, a drive without a slash": (mappings(("D:", "/x"), system="windows"), r"D:\a\b.py", "/x/a/b.py"),
    "Windows, a share": (mappings((r"\\nas\shop", "/x"), system="windows"), r"\\nas\shop\b.py", "/x/b.py"),
    "Windows, the workspace": (
        mappings((r"${workspaceFolder}\back", "."), system="windows", folder=r"c:\w"), r"c:\w\back\b.py", "/srv/shop/b.py",
    ),
    "Windows, the workspace, with the other slash": (
        mappings(("${workspaceFolder}/back", "."), system="windows", folder=r"c:\w"), r"c:\w\back\b.py", "/srv/shop/b.py",
    ),
    "Windows, a file of the server's": (mappings((r"C:\a", "/x"), system="windows"), r"\usr\lib\b.py", "/usr/lib/b.py"),
    "Windows, what is no file": (mappings((r"C:\a", "/x"), system="windows"), "<string>", "<string>"),
}  # fmt: skip


@pytest.mark.parametrize(("paths", "client", "server"), BOTH_WAYS.values(), ids=BOTH_WAYS.keys())
def test_both_ways(paths: PathMappings, client: str, server: str) -> None:
    assert (paths.to_server(client), paths.to_client(server)) == (server, client)
    assert paths.doubts == []


# As the client may write it as well.
TO_SERVER: dict[str, tuple[PathMappings, str, str]] = {
    "dots": (mappings(("/a/b", "/x")), "/a/./z/../b//c.py", "/x/c.py"),
    "dots that lead out": (mappings(("/a/b", "/x")), "/a/b/../c.py", "/a/c.py"),
    "dots above the root": (mappings(("/a", "/x")), "/../../a/c.py", "/x/c.py"),
    "Windows, another case": (mappings((r"C:\Shop", "/x"), system="windows"), r"c:\sHOP\A.py", "/x/A.py"),
    "Windows, other slashes": (mappings((r"C:\Shop", "/x"), system="windows"), "C:/Shop/A.py", "/x/A.py"),
    "Windows, another drive": (mappings((r"C:\a", "/x"), system="windows"), r"D:\a\b.py", r"D:\a\b.py"),
    "Windows, another share": (mappings((r"\\nas\a", "/x"), system="windows"), r"\\nas2\a\b.py", r"\\nas2\a\b.py"),
    "Unix, another case": (mappings(("/Shop", "/x")), "/shop/a.py", "/shop/a.py"),
    "Unix, a backslash": (mappings(("/a", "/x")), r"/a\b/c.py", r"/a\b/c.py"),
    "what the second of two calls it": (mappings(("/a", "/x"), ("/b", "/x")), "/b/c.py", "/x/c.py"),
}


@pytest.mark.parametrize(("paths", "client", "server"), TO_SERVER.values(), ids=TO_SERVER.keys())
def test_to_the_server(paths: PathMappings, client: str, server: str) -> None:
    assert paths.to_server(client) == server


def test_the_source_of_what_the_client_has_not_comes_from_the_server() -> None:
    paths = mappings(("/a", "/x"))
    assert paths.knows("/x/c.py")
    assert not paths.knows("/usr/lib/c.py")
    assert mappings().knows("/usr/lib/c.py")  # the client is on this machine


def test_a_file_is_never_shown_as_another_one() -> None:
    paths = mappings(("/a", "/x"), ("/a/b", "/y"))
    # The client's /a/b/c.py is the server's /y/c.py, so it has none of this.
    assert paths.to_client("/x/b/c.py") == "/x/b/c.py"
    assert not paths.knows("/x/b/c.py")


DOUBTS: dict[str, tuple[PathMappings, str]] = {
    "a workspace that nobody named": (mappings(("${workspaceFolder}", ".")), "workspaceFolder"),
    "a workspace on the server that nobody named": (mappings(("/a", "${workspaceFolder}/b")), "workspaceFolder"),
    "a Windows path of a client on Unix": (mappings((r"C:\a", ".")), "no absolute path on Unix"),
    "a relative path": (mappings(("a", "."), system="windows"), "no absolute path on Windows"),
}


@pytest.mark.parametrize(("paths", "reason"), DOUBTS.values(), ids=DOUBTS.keys())
def test_what_has_no_effect_is_said(paths: PathMappings, reason: str) -> None:
    assert len(paths.doubts) == 1
    assert reason in paths.doubts[0]
    assert paths.doubts[0].endswith(".")


@pytest.mark.parametrize(
    "mapping", [{}, {"localRoot": "/a"}, {"remoteRoot": "."}, {"localRoot": "", "remoteRoot": "/x"}]
)
def test_half_a_mapping_is_none(mapping: dict[str, str]) -> None:
    paths = PathMappings([mapping], "unix", DIRECTORY)
    assert (paths.to_server("/a/b"), paths.to_client("/srv/shop/b"), paths.doubts) == ("/a/b", "/srv/shop/b", [])


ATTACHES: dict[str, tuple[dict[str, Any], str]] = {
    "the template of VS Code": (
        {
            "pathMappings": [{"localRoot": "${workspaceFolder}", "remoteRoot": "."}],
            "workspaceFolder": r"c:\w",
            "clientOS": "windows",
        },
        r"c:\w\a.py",
    ),
    "the older option": (
        {"pathMappings": [{"localRoot": "C:\\w", "remoteRoot": "."}], "debugOptions": ["WindowsClient"]},
        r"c:\W\a.py",
    ),
    "the newer one outranks it": (
        {
            "pathMappings": [{"localRoot": "/w", "remoteRoot": "."}],
            "debugOptions": ["WindowsClient"],
            "clientOS": "Unix",
        },
        "/w/a.py",
    ),
    "a client that says nothing": ({}, "/srv/shop/a.py"),
    "a workspace that is no text": (
        {"pathMappings": [{"localRoot": "/w", "remoteRoot": "."}], "workspaceFolder": 1},
        "/w/a.py",
    ),
}


@pytest.mark.parametrize(("arguments", "client"), ATTACHES.values(), ids=ATTACHES.keys())
def test_an_attach_says_how_the_client_writes_paths(arguments: dict[str, Any], client: str) -> None:
    assert PathMappings.of_attach(arguments, DIRECTORY).to_server(client) == "/srv/shop/a.py"


components = st.text("aAbB.", min_size=1, max_size=2).filter(lambda text: text not in (".", ".."))
tails = st.lists(components, max_size=4)
servers = tails.map(lambda tail: "/" + "/".join(tail))
unix = servers
windows = st.builds(
    lambda drive, tail, slash: drive + slash + slash.join(tail),
    st.sampled_from(["c:", "C:", "D:"]),
    tails,
    st.sampled_from("/\\"),
)


def sets(client: st.SearchStrategy[str], system: System) -> st.SearchStrategy[tuple[PathMappings, str]]:
    made = st.lists(st.tuples(client, servers), max_size=4).map(lambda pairs: mappings(*pairs, system=system))
    return st.tuples(made, client)


@given(sets(unix, "unix") | sets(windows, "windows"), servers)
@example((mappings(("/a", "/x"), ("/a/b", "/y")), "/a/b"), "/x/b")
@example((mappings(("C:\\a", "/x"), ("c:/A/b", "/x"), system="windows"), "c:/a/B/c"), "/x/b")
def test_there_and_back(case: tuple[PathMappings, str], server: str) -> None:
    paths, client = case
    # A file of the server's that the client has comes back as that very file.
    if paths.knows(server):
        assert paths.to_server(paths.to_client(server)) == server
    else:
        assert paths.to_client(server).replace("\\", "/") == server
    # A file of the client's stays the same file of the server's, whatever its name is shown as.
    there = paths.to_server(client)
    if there.startswith("/") and paths.knows(there):
        assert paths.to_server(paths.to_client(there)) == there


@given(st.lists(st.tuples(servers, servers), min_size=1, max_size=4, unique_by=lambda pair: pair[0]), tails)
def test_the_longest_prefix_wins_in_any_order(pairs: list[tuple[str, str]], tail: list[str]) -> None:
    client = "/".join(
        [max((local for local, _ in pairs), key=lambda root: root.rstrip("/").count("/")).rstrip("/"), *tail]
    )
    expected = mappings(*pairs).to_server(client or "/")
    assert mappings(*reversed(pairs)).to_server(client or "/") == expected
    longest = [pair for pair in pairs if (client or "/") == pair[0] or client.startswith(pair[0].rstrip("/") + "/")]
    local, remote = max(longest, key=lambda pair: len(pair[0].rstrip("/")))
    assert expected == (remote.rstrip("/") + client[len(local.rstrip("/")) :] or "/")


@given(st.text(max_size=12), st.sampled_from(["unix", "windows"]))
def test_no_text_breaks_it(text: str, system: System) -> None:
    paths = mappings((text, text), ("/a", text), (text, "/b"), system=system, folder=text)
    assert isinstance(paths.to_server(text), str)
    assert isinstance(paths.to_client(text), str)
    assert isinstance(paths.knows(text), bool)
