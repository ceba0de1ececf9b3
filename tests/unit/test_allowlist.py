"""The allowlist: what it accepts as configuration, whom it lets in, how it prints itself."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagedoor.access.addresses import is_loopback, is_own_address, normalized
from stagedoor.access.allowlist import Allowlist
from stagedoor.errors import ConfigurationError


class Impostor:
    """Equal to every address, and with the hash of one."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("10.0.0.1")


class ImpostorText(str):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("10.0.0.1")


@pytest.mark.parametrize(
    ("entries", "inside", "outside"),
    [
        pytest.param("203.0.113.7", ["203.0.113.7"], ["203.0.113.6", "203.0.113.8"], id="an IPv4 address"),
        pytest.param("2001:db8::7", ["2001:db8::7"], ["2001:db8::6", "2001:db8::8"], id="an IPv6 address"),
        pytest.param("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"], id="an IPv4 network"),
        pytest.param("2001:db8::/48", ["2001:db8::", "2001:db8:0:ffff::1"], ["2001:db8:1::"], id="an IPv6 network"),
        pytest.param("10.0.0.4/31", ["10.0.0.4", "10.0.0.5"], ["10.0.0.3", "10.0.0.6"], id="a network of two"),
        pytest.param(
            "10.0.0.8-10.0.1.2", ["10.0.0.8", "10.0.0.255", "10.0.1.2"], ["10.0.0.7", "10.0.1.3"], id="a range"
        ),
        pytest.param("::1-::3", ["::1", "::3"], ["::", "::4", "0.0.0.2"], id="an IPv6 range"),
        pytest.param("10.0.0.5-10.0.0.5", ["10.0.0.5"], ["10.0.0.6"], id="a range of one"),
        pytest.param("10.0.*.*", ["10.0.0.0", "10.0.255.255"], ["10.1.0.0", "9.255.255.255"], id="a glob"),
        pytest.param("10.0.0.1-9", ["10.0.0.1", "10.0.0.9"], ["10.0.0.0", "10.0.0.10"], id="a glob with a range"),
        pytest.param("10.0.1-2.*", ["10.0.1.0", "10.0.2.255"], ["10.0.0.255", "10.0.3.0"], id="a glob with both"),
        pytest.param(
            "10.0.0.1, 10.0.0.3\t2001:db8::/32,\n10.0.0.5",
            ["10.0.0.1", "10.0.0.3", "10.0.0.5", "2001:db8::1"],
            ["10.0.0.2", "10.0.0.4"],
            id="one string with commas and white space",
        ),
        pytest.param(["10.0.0.1", "::1"], ["10.0.0.1", "::1"], ["10.0.0.2", "::2"], id="a list"),
        pytest.param((e for e in ["10.0.0.1"]), ["10.0.0.1"], ["10.0.0.2"], id="a generator"),
        pytest.param(
            "10.0.0.0/9 10.128.0.0/9 10.3.0.0/16 10.0.0.1",
            ["10.0.0.1", "10.3.0.0", "10.127.255.255", "10.128.0.0", "10.255.255.255"],
            ["9.255.255.255", "11.0.0.0"],
            id="entries that overlap and adjoin",
        ),
        pytest.param("", [], ["127.0.0.1", "::1", ""], id="an empty string lets nobody in"),
        pytest.param([], [], ["127.0.0.1", "::1", ""], id="an empty list lets nobody in"),
        pytest.param(
            "10.0.0.1",
            ["::ffff:10.0.0.1", "::FFFF:0a00:0001", "0:0:0:0:0:ffff:10.0.0.1"],
            ["::ffff:10.0.0.2"],
            id="an IPv4-mapped request address counts as IPv4",
        ),
        pytest.param(
            "::ffff:10.0.0.1 ::ffff:10.0.0.4-::ffff:a00:5",
            ["10.0.0.1", "10.0.0.5", "::ffff:10.0.0.4"],
            ["::10.0.0.1"],
            id="an IPv4-mapped entry counts as IPv4",
        ),
        pytest.param("::/64", ["::1", "::10.0.0.1"], ["10.0.0.1", "::ffff:10.0.0.1"], id="IPv6 never lets IPv4 in"),
        pytest.param("0.0.0.1", ["0.0.0.1"], ["::1"], id="::1 is not read as 0.0.0.1"),
        pytest.param("::1", ["::1"], ["0.0.0.1"], id="0.0.0.1 is not read as ::1"),
        pytest.param("2001:DB8:0::7", ["2001:db8::7", "2001:0DB8:0:0:0:0:0:7"], [], id="every spelling of an address"),
    ],
)
def test_lets_in(entries: object, inside: list[str], outside: list[str]) -> None:
    allowlist = Allowlist(entries)  # type: ignore[arg-type]
    # Twice: the second answers are the remembered ones.
    for _ in range(2):
        assert [address for address in inside if address not in allowlist] == []
        assert [address for address in outside if address in allowlist] == []


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("", id="a blank address, as on a Unix socket"),
        pytest.param(" 10.0.0.1", id="a leading blank"),
        pytest.param("10.0.0.1\n", id="a trailing line feed"),
        pytest.param("10.0.0.1%eth0", id="a zone id on IPv4"),
        pytest.param("2001:db8::1%eth0", id="a zone id"),
        pytest.param("2001:db8::1%", id="an empty zone id"),
        pytest.param("10.0.0.0/9", id="a network inside an allowed one"),
        pytest.param("10.0.0.1/32", id="a network of one"),
        pytest.param("10.0.0.1-10.0.0.2", id="a range"),
        pytest.param("10.*.*.*", id="a glob"),
        pytest.param("10.1", id="an abbreviated address"),
        pytest.param("167772161", id="an address as one decimal number"),
        pytest.param("0x0a000001", id="an address as one hexadecimal number"),
        pytest.param("012.0.0.1", id="an octal number"),
        pytest.param("10.0.0.01", id="a leading zero"),
        pytest.param("0xa.0.0.1", id="a hexadecimal number"),
        pytest.param("10.0.2.555", id="a number above 255"),
        pytest.param("10.0.0.1.", id="a trailing dot"),
        pytest.param("10.0.0.1:5000", id="an address with a port"),
        pytest.param("[2001:db8::1]", id="an address in brackets"),
        pytest.param("localhost", id="a host name"),
        pytest.param("unknown", id="a word of a proxy"),
        pytest.param("10.0.0.1, 10.0.0.2", id="two addresses"),
        pytest.param("10.0.0.1\0", id="a null character"),
        pytest.param("1\u0660.0.0.1", id="a digit that is not ASCII"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param("10.0.0.1" + " " * 100_000, id="a very long string"),
        pytest.param(0x0A000001, id="an integer that is an allowed address"),
        pytest.param(True, id="a boolean"),
        pytest.param(None, id="None"),
        pytest.param(b"10.0.0.1", id="bytes"),
        pytest.param(b"\x0a\x00\x00\x01", id="a packed address"),
        pytest.param(ipaddress.ip_address("10.0.0.1"), id="an address object"),
        pytest.param(["10.0.0.1"], id="a list, which has no hash"),
        pytest.param(Impostor(), id="an object that equals an allowed address"),
        pytest.param(ImpostorText("192.0.2.1"), id="text that equals an allowed address"),
    ],
)
def test_never_lets_in(address: object) -> None:
    allowlist = Allowlist("10.0.0.0/8 2001:db8::/32")
    assert "10.0.0.1" in allowlist  # now it is remembered, for an impostor to find
    assert address not in allowlist
    assert address not in allowlist
    assert normalized(address) is None
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("entry", "problem", "remedy"),
    [
        pytest.param("10.1.2.3/8", "host bits", '"10.1.2.3/32" for the one address or "10.0.0.0/8"', id="host bits"),
        pytest.param("2001:db8::1/32", "host bits", '"2001:db8::1/128" for the one', id="IPv6 host bits"),
        pytest.param("10/8", "not four numbers", "10.0.0.0/8", id="an abbreviated network"),
        pytest.param("10.1", "not four numbers", "10.0.0.0/8", id="an abbreviated address"),
        pytest.param("167772161", "not four numbers", "10.0.0.0/8", id="an address as one number"),
        pytest.param("010.0.0.1", "octal", "decimal", id="an octal number"),
        pytest.param("0x7f.0.0.1", "hexadecimal", "decimal", id="a hexadecimal number"),
        pytest.param("0x7f000001", "hexadecimal", "decimal", id="an address as one hexadecimal number"),
        pytest.param("10.0.0.01-9", "zero-padded", "decimal", id="a leading zero in a glob"),
        pytest.param("10.0.0.1-010", "zero-padded", "decimal", id="a leading zero at the end of a glob"),
        pytest.param("10.0.2.555", "above 255", "255", id="a number above 255"),
        pytest.param("localhost", "host name", "address", id="localhost"),
        pytest.param("localhost6", "host name", "address", id="localhost6"),
        pytest.param("staging-web.example.com", "host name", "address", id="a host name with a dash"),
        pytest.param("10.0.0.1-staging", "host name", "address", id="a range to a host name"),
        pytest.param("localhost/8", "host name", "address", id="the network of a host name"),
        pytest.param("fe80::1%eth0", "zone id", "without", id="a zone id"),
        pytest.param("fe80::%eth0/64", "zone id", "without", id="a network with a zone id"),
        pytest.param("[2001:db8::7]", "malformed", "without brackets", id="brackets"),
        pytest.param("10.0.0.1:5000", "port", "without brackets or a port", id="a port"),
        pytest.param("10.0.0.0/255.0.0.0", "no prefix length up to 32", "10.0.0.0/8", id="a netmask"),
        pytest.param("10.0.0.0/0.255.255.255", "no prefix length up to 32", "10.0.0.0/8", id="a host mask"),
        pytest.param("10.0.0.0/33", "no prefix length up to 32", "10.0.0.0/8", id="a prefix that is too long"),
        pytest.param("2001:db8::/129", "no prefix length up to 128", "/8", id="an IPv6 prefix that is too long"),
        pytest.param("10.0.0.0/08", "no prefix length", "10.0.0.0/8", id="a prefix with a leading zero"),
        pytest.param("10.0.0.0/", "no prefix length", "10.0.0.0/8", id="no prefix after the slash"),
        pytest.param("10.0.0.0/8/8", "no prefix length", "10.0.0.0/8", id="two slashes"),
        pytest.param("10.0.0.0/\u0668", "no prefix length", "10.0.0.0/8", id="a prefix that is not ASCII"),
        pytest.param("::ffff:10.0.0.0/104", "IPv4-mapped network", "as IPv4", id="an IPv4-mapped network"),
        pytest.param("::ffff:0:0/96", "IPv4-mapped network", "as IPv4", id="all IPv4-mapped addresses"),
        pytest.param("10.0.0.9-10.0.0.1", "no range", "lower address first", id="a range the wrong way round"),
        pytest.param("10.0.0.1-::1", "no range", "both IPv4 or both IPv6", id="a range across IP versions"),
        pytest.param("::1-10.0.0.1", "no range", "both IPv4 or both IPv6", id="a range across IP versions, back"),
        pytest.param("10.0.0.1-10.0.0.2-10.0.0.3", "no address", "Write entries like", id="a range of three"),
        pytest.param("10.0.0.1-", "no address", "Write entries like", id="a range without an end"),
        pytest.param("10.*", "no glob", "10.0.*.*", id="an abbreviated glob"),
        pytest.param("010.0.*.*", "no glob", "10.0.*.*", id="a leading zero before an asterisk"),
        pytest.param("10.*.0.1", "no glob", "10.0.*.*", id="a number after an asterisk"),
        pytest.param("10.0.0.9-1", "no glob", "10.0.*.*", id="a glob the wrong way round"),
        pytest.param("10.0.0.1-256", "no glob", "10.0.*.*", id="a glob above 255"),
        pytest.param("2001:db8::*", "no glob", "10.0.*.*", id="an IPv6 glob"),
        pytest.param("0.0.0.0/0", "everybody", "developers", id="the whole of IPv4"),
        pytest.param("::/0", "everybody", "developers", id="the whole of IPv6"),
        pytest.param("*.*.*.*", "everybody", "developers", id="the whole of IPv4 as a glob"),
        pytest.param("0.0.0.0-255.255.255.255", "everybody", "developers", id="the whole of IPv4 as a range"),
        pytest.param("all", "host name", "address", id="a word"),
        pytest.param("\uff11\uff10.0.0.1", "no address", "Write entries like", id="digits that are not ASCII"),
        pytest.param("10.0.0.1\0", "no address", "Write entries like", id="a null character"),
        pytest.param("", "not exactly one entry", "without blanks", id="a blank entry"),
        pytest.param(" ", "not exactly one entry", "without blanks", id="a blank"),
        pytest.param("10.0.0.1 ", "not exactly one entry", "without blanks", id="a trailing blank"),
        pytest.param("10.0.0.1,10.0.0.2", "not exactly one entry", "by itself", id="two entries in one"),
        pytest.param(167772161, "type int, not text", "Write entries like", id="an integer"),
        pytest.param(None, "type NoneType, not text", "Write entries like", id="None"),
        pytest.param(b"10.0.0.1", "type bytes, not text", "Write entries like", id="bytes"),
        pytest.param(["10.0.0.1"], "type list, not text", "Write entries like", id="a list in a list"),
    ],
)  # fmt: skip
def test_refuses_the_entry(entry: object, problem: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Allowlist(["203.0.113.7", entry], name="STAGEDOOR_ALLOW")  # type: ignore[list-item]
    assert (caught.value.name, caught.value.value) == ("STAGEDOOR_ALLOW", entry)
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert f"STAGEDOOR_ALLOW={entry!r} " in str(caught.value)


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(None, id="None"),
        pytest.param(167772161, id="an integer"),
        pytest.param(b"10.0.0.1", id="bytes"),
        pytest.param(ipaddress.ip_address("10.0.0.1"), id="an address object"),
    ],
)
def test_refuses_what_is_neither_text_nor_a_list_of_it(entries: object) -> None:
    with pytest.raises(ConfigurationError, match=r"not text\. Write entries like") as caught:
        Allowlist(entries)  # type: ignore[arg-type]
    assert (caught.value.name, caught.value.value) == ("allow", entries)


def test_one_wrong_entry_in_a_string_is_named_by_itself() -> None:
    with pytest.raises(ConfigurationError, match=r"allow='localhost' has a host name in it\."):
        Allowlist("203.0.113.7, localhost, 10.0.0.0/8")


def test_a_long_wrong_entry_is_cut_in_the_message() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Allowlist(["9" * 100_000])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("entries", "printed"),
    [
        pytest.param("", "nobody", id="nobody"),
        pytest.param("127.0.0.2,2001:DB8:0::/48", "127.0.0.2, 2001:db8::/48", id="canonical, in the order given"),
        pytest.param("::1 ::1 0::1", "::1", id="equal entries once"),
        pytest.param("10.0.*.* 10.0.0.1-9 ::1-::2", "10.0.*.*, 10.0.0.1-9, ::1-::2", id="globs and ranges"),
        pytest.param(
            [f"10.0.0.{n}" for n in range(45)],
            "10.0.0.0, 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, … and 37 more",
            id="the first of many",
        ),
    ],
)
def test_prints_itself_for_a_log_line(entries: str | list[str], printed: str) -> None:
    allowlist = Allowlist(entries)
    assert str(allowlist) == printed
    assert repr(allowlist) == f"<Allowlist {printed}>"


def test_its_length_is_the_number_of_different_entries() -> None:
    assert len(Allowlist("10.0.0.1 10.0.0.1 10.0.0.2")) == 2
    assert Allowlist("10.0.0.1")
    assert not Allowlist("")


@pytest.mark.parametrize(
    ("address", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:0DB8:0:0::7", "2001:db8::7"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:0a00:0001", "10.0.0.1"),
        ("0000:0000:0000:0000:0000:ffff:255.255.255.255", "255.255.255.255"),
        ("::1", "::1"),
    ],
)
def test_spells_an_address_in_one_way(address: str, canonical: str) -> None:
    assert normalized(address) == canonical
    assert normalized(canonical) == canonical


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0"])
def test_an_own_address_is_one_that_a_socket_can_be_bound_to(address: str) -> None:
    assert is_own_address(address)


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "unix", "localhost", "", "127.0.0.1%1", None, 5])
def test_what_is_no_own_address(address: object) -> None:
    assert not is_own_address(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.255.255.255", "::1", "0:0::1", "::ffff:127.0.0.1", "::FFFF:7f00:2"]
)
def test_is_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["126.255.255.255", "128.0.0.0", "::2", "::127.0.0.1", "0.0.0.0", "::", "7f00::1"])
def test_is_not_loopback(address: str) -> None:
    assert not is_loopback(address)


def test_no_network_of_ipv6_lets_an_ipv4_mapped_address_in() -> None:
    around = Allowlist("::/64 10.0.0.1")
    assert "::ffff:10.0.0.1" in around
    assert "::ffff:10.0.0.2" not in around
    assert ["::fffe:ffff:ffff" in around, "::1:0:0:0" in around] == [True, True]


def test_the_first_and_the_last_of_all_addresses_are_found() -> None:
    ends = Allowlist("0.0.0.0 255.255.255.255 :: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
    inside = ["0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]
    beside = ["0.0.0.1", "255.255.255.254", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "10.0.0.1", "2001:db8::1"]
    assert [address in ends for address in inside] == [True] * 4
    assert [address in ends for address in beside] == [False] * 6


# -- Properties ------------------------------------------------------------------------------------------------

IPV4_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Few different bits, so that addresses, networks and ranges meet and border on each other.
near_ipv4 = st.integers(0, 300).map(lambda number: ipaddress.IPv4Address(0x0A0000F0 + number))
near_ipv6 = st.integers(0, 300).map(lambda number: ipaddress.IPv6Address((0x20010DB8 << 96) + number))
near_mapped = near_ipv4.map(lambda address: ipaddress.IPv6Address(int(IPV4_MAPPED[0]) + int(address)))
addresses = st.one_of(near_ipv4, near_ipv6, near_mapped, st.ip_addresses())


def unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address


@st.composite
def spellings(draw: st.DrawFn, address: Address) -> str:
    text = draw(st.sampled_from([str(address), address.exploded]))
    return draw(st.sampled_from([text, text.upper()]))


@st.composite
def entries_with_bounds(draw: st.DrawFn) -> tuple[str, Address, Address]:
    """An entry, its first and its last address."""
    if draw(st.booleans()):
        ends = draw(st.one_of(*(st.tuples(each, each) for each in (near_ipv4, near_ipv6, near_mapped))))
        first, last = sorted(ends, key=int)
        return f"{draw(spellings(first))}-{draw(spellings(last))}", unmapped(first), unmapped(last)
    address = draw(st.one_of(near_ipv4, near_ipv6))
    network = ipaddress.ip_network((address, draw(st.integers(1, address.max_prefixlen))), strict=False)
    return f"{draw(spellings(network[0]))}/{network.prefixlen}", network[0], network[-1]


@given(st.lists(entries_with_bounds(), max_size=6), st.lists(addresses, min_size=1, max_size=20), st.data())
def test_agrees_with_the_standard_library(
    entries: list[tuple[str, Address, Address]], asked: list[Address], data: st.DataObject
) -> None:
    allowlist = Allowlist([text for text, _, _ in entries])
    for address in [*asked, *(first for _, first, _ in entries), *(last for _, _, last in entries)]:
        plain = unmapped(address)
        expected = any(
            first.version == plain.version and int(first) <= int(plain) <= int(last) for _, first, last in entries
        )
        assert (data.draw(spellings(address)) in allowlist) is expected


@st.composite
def almost_addresses(draw: st.DrawFn) -> str:
    """An address with a few characters changed, left out or put in."""
    text = draw(addresses.flatmap(spellings))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        put_in = draw(st.sampled_from(["", "0", "7", "f", "x", ".", ":", "::", "%", "/", "-", " ", "\n"]))
        text = text[:at] + put_in + text[at + draw(st.integers(0, 1)) :]
    return text


@given(st.one_of(almost_addresses(), st.text(max_size=60)))
@example("::ffff:10.0.0.01")
@example("fe80::1%1")
def test_reads_an_address_as_the_standard_library_does(text: str) -> None:
    try:
        expected = None if "%" in text else unmapped(ipaddress.ip_address(text))
    except ValueError:
        expected = None
    spelled = normalized(text)
    assert (spelled and ipaddress.ip_address(spelled)) == expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text() | almost_addresses() | addresses,
    lambda inner: st.one_of(st.lists(inner), st.tuples(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)


@given(anything)
def test_asking_never_raises(asked: object) -> None:
    allowlist = Allowlist("10.0.0.0/8 2001:db8::/32")
    for answer in (asked in allowlist, is_loopback(asked)):
        assert answer in (True, False)
    assert normalized(asked) is None or isinstance(asked, str)


octets = st.sampled_from(["*", "0", "10", "255", "256", "1-9", "9-1", "0-255", "01", "²", ""])
almost_entries = st.one_of(
    st.text(),
    almost_addresses(),
    entries_with_bounds().map(lambda entry: entry[0]),
    st.tuples(almost_addresses(), st.sampled_from("/-*,%"), st.integers() | almost_addresses()).map(
        lambda parts: "".join(map(str, parts))
    ),
    st.lists(octets, min_size=3, max_size=5).map(".".join),
)


@given(almost_entries | st.lists(almost_entries, max_size=3) | anything)
def test_construction_raises_nothing_but_a_configuration_error(entries: object) -> None:
    problem = None
    try:
        allowlist = Allowlist(entries)  # type: ignore[arg-type]
    except ConfigurationError as error:
        problem = error
    if problem is not None:
        assert problem.name == "allow"
        assert problem.problem
        assert problem.remedy
    else:
        assert list(Allowlist(allowlist)) == list(allowlist)


@given(st.lists(entries_with_bounds(), max_size=6), st.lists(addresses))
def test_an_equal_allowlist_can_be_made_from_its_entries(
    entries: list[tuple[str, Address, Address]], asked: list[Address]
) -> None:
    allowlist = Allowlist([text for text, _, _ in entries])
    again = Allowlist(",".join(allowlist))
    assert [str(each) in again for each in asked] == [str(each) in allowlist for each in asked]
