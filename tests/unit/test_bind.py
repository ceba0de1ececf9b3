"""Reading where the debug port is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagedoor.errors import ConfigurationError
from stagedoor.settings.bind import Bind, parse_bind

GOOD = {
    "an IPv4 address and a port": ("127.0.0.1:5678", Bind("127.0.0.1", 5678)),
    "white space around it": (" 127.0.0.1:5678\n", Bind("127.0.0.1", 5678)),
    "an IPv6 address in brackets": ("[::1]:5678", Bind("::1", 5678)),
    "an IPv6 address in another spelling": ("[0:0:0:0:0:0:0:1]:5678", Bind("::1", 5678)),
    "an IPv4 address written as IPv6": ("[::ffff:127.0.0.1]:5678", Bind("127.0.0.1", 5678)),
    "every interface": ("0.0.0.0:5678", Bind("0.0.0.0", 5678)),
    "the highest port": ("127.0.0.1:65535", Bind("127.0.0.1", 65535)),
    "a Unix socket": ("unix:/run/stagedoor/debug", Bind(path="/run/stagedoor/debug")),
}

BAD = {
    "nothing": ("", "is not an address and a port"),
    "no port": ("127.0.0.1", "is not an address and a port"),
    "an empty port": ("127.0.0.1:", "is not an address and a port"),
    "a port without an address": ("5678", "is not an address and a port"),
    "only a port": (":5678", "is not a numeric address"),
    "a name": ("localhost:5678", "is not a numeric address"),
    "port 0, which no client could know": ("127.0.0.1:0", "is not an address and a port"),
    "a port with leading zeros": ("127.0.0.1:05678", "is not an address and a port"),
    "a port that is too high": ("127.0.0.1:65536", "has no port from 1 to 65535"),
    "a port that is far too high": ("127.0.0.1:" + "1" * 5000, "has no port from 1 to 65535"),
    "a negative port": ("127.0.0.1:-1", "is not an address and a port"),
    "a port in Arabic digits": ("127.0.0.1:٥٦٧٨", "is not an address and a port"),
    "an IPv6 address without brackets": ("::1:5678", "is not an address and a port"),
    "an IPv4 address in brackets": ("[127.0.0.1]:5678", "is not an address and a port"),
    "an octal address": ("0177.0.0.1:5678", "is not a numeric address"),
    "an address with a zone": ("[fe80::1%eth0]:5678", "is not a numeric address"),
    "a URL": ("tcp://127.0.0.1:5678", "is not an address and a port"),
    "a relative path": ("unix:run/debug", "is not an absolute path"),
    "no path": ("unix:", "is not an absolute path"),
    "a path with a null byte": ("unix:/run/\0debug", "is not an absolute path"),
    "a path with a line feed in it": ("unix:/run/\ndebug", "is not an absolute path"),
    "a path that no Unix socket can have": ("unix:/" + "x" * 100, "is not an absolute path of at most 100 bytes"),
    "a path of too many bytes in few characters": ("unix:/" + "é" * 60, "is not an absolute path of at most 100 bytes"),
    "a path that is no text of any file system": ("unix:/\ud800", "is not an absolute path"),
    "no string": (5678, "is not a string"),
}


@pytest.mark.parametrize(("text", "expected"), GOOD.values(), ids=GOOD.keys())
def test_it_is_read(text: str, expected: Bind) -> None:
    assert parse_bind(text) == expected


@pytest.mark.parametrize(("value", "problem"), BAD.values(), ids=BAD.keys())
def test_it_is_refused_by_name_and_value(value: object, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_bind(value, "STAGEDOOR_BIND")
    assert str(caught.value).startswith("STAGEDOOR_BIND=")
    assert problem in str(caught.value)
    assert "127.0.0.1:5678" in caught.value.remedy
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("expected", [bind for _, bind in GOOD.values()], ids=GOOD.keys())
def test_what_it_prints_is_read_back(expected: Bind) -> None:
    assert parse_bind(str(expected)) == expected


LOCAL = {"127.0.0.1:1": True, "127.1.2.3:1": True, "[::1]:1": True, "unix:/x": True}
LOCAL |= {"0.0.0.0:1": False, "[::]:1": False, "203.0.113.7:1": False, "[2001:db8::1]:1": False}


@pytest.mark.parametrize(("text", "is_local"), LOCAL.items(), ids=LOCAL.keys())
def test_local_is_what_only_this_machine_reaches(text: str, is_local: bool) -> None:
    assert parse_bind(text).is_local is is_local


ALPHABET = st.characters(codec=None, exclude_categories=()) | st.sampled_from("[]:.0123456789abcdefunix/")


@given(st.text(ALPHABET) | st.text(ALPHABET).map("unix:{}".format) | st.integers() | st.none())
def test_nothing_but_a_configuration_error_is_ever_raised(value: object) -> None:
    try:
        bind = parse_bind(value)
    except ConfigurationError:
        return
    assert parse_bind(str(bind)) == bind
