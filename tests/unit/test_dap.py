"""The wire format: what is read, what is refused, and that no byte sequence breaks the reader."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagedoor.dap import wire
from stagedoor.dap.wire import Decoder, Message, ProtocolError

REQUEST: Message = {"seq": 1, "type": "request", "command": "threads"}


def frame(body: bytes | str) -> bytes:
    raw = body.encode() if isinstance(body, str) else body
    return b"Content-Length: %d\r\n\r\n%s" % (len(raw), raw)


def framed(**fields: Any) -> bytes:
    return frame(json.dumps({"seq": 1, "type": "request", "command": "threads"} | fields))


def decoded(data: bytes, body_cap: int = wire.DEBUGGER_BODY_CAP) -> list[Message]:
    return list(Decoder(body_cap).feed(data))


ACCEPTED = {
    "a request without arguments": REQUEST,
    "a request whose arguments are null": REQUEST | {"arguments": None},
    "a request with arguments": REQUEST | {"arguments": {"expression": "größe", "frameId": 3}},
    "a response": {"seq": 2, "type": "response", "request_seq": 1, "success": True, "command": "threads"},
    "a failed response": {
        "seq": 2, "type": "response", "request_seq": 1, "success": False, "command": "x", "message": "no",
        "body": None,
    },
    "an event": {"seq": 0, "type": "event", "event": "output", "body": {"output": "\u2028 {} \\ \x00"}},
    "half of a surrogate pair": REQUEST | {"arguments": {"expression": "\ud800"}},
    "fields that nobody knows": REQUEST | {"future": [1.5, None, {"a": "b"}]},
    "an integer beyond 64 bits": REQUEST | {"arguments": {"n": 2**200}},
}  # fmt: skip


@pytest.mark.parametrize("message", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_message_comes_back_as_it_was_encoded(message: Message) -> None:
    assert decoded(wire.encode(message)) == [message]


EVENT = b'{"seq":1,"type":"event","event":"x"}'
assert len(EVENT) == 36

REFUSED_HEADERS = {
    "another protocol": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "one byte of another protocol": b"\x16",
    "a name in another case": b"content-length: 36\r\n\r\n",
    "no space after the colon": b"Content-Length:36\r\n\r\n",
    "two spaces after the colon": b"Content-Length:  36\r\n\r\n",
    "a space before the line end": b"Content-Length: 36 \r\n\r\n",
    "a negative length": b"Content-Length: -36\r\n\r\n",
    "a length with a plus": b"Content-Length: +36\r\n\r\n",
    "a length with a leading zero": b"Content-Length: 036\r\n\r\n",
    "a length with an underscore": b"Content-Length: 3_6\r\n\r\n",
    "a length in Arabic digits": "Content-Length: ٣٦\r\n\r\n".encode(),
    "a length in hexadecimal": b"Content-Length: 0x24\r\n\r\n",
    "no length at all": b"Content-Length: \r\n\r\n",
    "a length of eleven digits": b"Content-Length: 10000000000\r\n\r\n",
    "two lengths": b"Content-Length: 36\r\nContent-Length: 36\r\n\r\n",
    "another header after it": b"Content-Length: 36\r\nContent-Type: a\r\n\r\n",
    "another header before it": b"Content-Type: a\r\nContent-Length: 36\r\n\r\n",
    "bare line feeds": b"Content-Length: 36\n\n",
    "a header without an end": b"Content-Length: " + b"1" * 64,
}


@pytest.mark.parametrize("header", REFUSED_HEADERS.values(), ids=REFUSED_HEADERS.keys())
def test_it_refuses_the_header(header: bytes) -> None:
    assert decoded(b"Content-Length: 36\r\n\r\n" + EVENT)
    with pytest.raises(ProtocolError, match=r'"Content-Length: "|The header of a DAP message'):
        decoded(header + EVENT)


REFUSED_BODIES = {
    "an empty body": frame(b""),
    "a body that is cut in the middle of a character": frame('"ü"'.encode()[:2]),
    "a body in Latin-1": frame('{"seq":1,"type":"event","event":"ü"}'.encode("latin-1")),
    "a body in UTF-16": frame(json.dumps(REQUEST).encode("utf-16")),
    "a byte order mark": frame("\ufeff" + json.dumps(REQUEST)),
    "something after the object": frame(json.dumps(REQUEST) + "{}"),
    "a list": frame("[]"),
    "a string": frame('"request"'),
    "an empty object": frame("{}"),
    "no seq": frame('{"type":"event","event":"x"}'),
    "a seq that is a string": framed(seq="1"),
    "a seq that is true": framed(seq=True),
    "a seq that is a float": framed(seq=1.0),
    "a type that doesn't exist": framed(type="shutdown"),
    "a type that can't be a key": framed(type=[]),
    "a request without a command": framed(command=None),
    "arguments that are a list": framed(arguments=[]),
    "a response without a request": framed(type="response", success=True),
    "a success that is a number": framed(type="response", request_seq=1, success=1),
    "an event without a name": framed(type="event"),
    "not a number": framed(n=float("nan")),
    "infinity": framed(n=float("inf")),
    "a float that becomes infinity": frame('{"seq":1,"type":"event","event":"x","body":-1e999}'),
    "an integer of 5,000 digits": frame('{"seq":%s,"type":"event","event":"x"}' % ("1" * 5000)),
    "a hundred thousand nested lists": frame("[" * 100_000),
    "a hundred thousand nested objects": frame('{"a":' * 100_000),
}


@pytest.mark.parametrize("data", REFUSED_BODIES.values(), ids=REFUSED_BODIES.keys())
def test_it_refuses_the_body(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        decoded(data)
    assert str(caught.value).endswith(".")


def test_a_body_over_the_cap_is_refused_by_its_header() -> None:
    body = json.dumps(REQUEST).encode()
    assert decoded(frame(body), body_cap=len(body)) == [REQUEST]
    with pytest.raises(ProtocolError, match=f"the largest that is accepted here is {len(body) - 1}"):
        decoded(b"Content-Length: %d\r\n\r\n" % len(body), body_cap=len(body) - 1)


def test_messages_before_the_error_are_given_out_first() -> None:
    messages = Decoder().feed(wire.encode(REQUEST) * 2 + b"\r\n")
    assert [next(messages), next(messages)] == [REQUEST, REQUEST]
    with pytest.raises(ProtocolError):
        next(messages)


def test_after_an_error_nothing_is_read_any_more() -> None:
    decoder = Decoder()
    with pytest.raises(ProtocolError):
        list(decoder.feed(b"\r\n"))
    with pytest.raises(ProtocolError, match="Nothing more is read"):
        decoder.feed(wire.encode(REQUEST))


def test_an_error_never_quotes_what_came() -> None:
    for data in (b'"token":"s3cret"', frame(b's3cret"'), framed(type="s3cret"), framed(seq="s3cret")):
        with pytest.raises(ProtocolError) as caught:
            decoded(data)
        assert "s3cret" not in str(caught.value)


def test_a_byte_costs_the_same_whatever_came_before_it() -> None:
    def seconds(before: int) -> float:
        decoder = Decoder()
        list(decoder.feed(b"Content-Length: %d\r\n\r\n" % (before + 3000) + bytes(before)))
        began = time.perf_counter()
        for _ in range(2000):
            assert list(decoder.feed(b"\0")) == []
        return time.perf_counter() - began

    # A thousand times as long where every byte costs a look at all those before it.
    assert min(seconds(8_000_000) for _ in range(5)) < 20 * min(seconds(8_000) for _ in range(5))


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {"seq": st.integers(), "type": st.just("request"), "command": texts},
    optional={"arguments": st.dictionaries(texts, values, max_size=4)},
)


@given(sent=st.lists(messages, max_size=4), data=st.data())
def test_any_chunking_gives_the_same_messages(sent: list[Message], data: st.DataObject) -> None:
    sent_bytes = b"".join(map(wire.encode, sent))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(sent_bytes)), max_size=12)) | {0, len(sent_bytes)})
    decoder = Decoder()
    received = [message for start, end in pairwise(cuts) for message in decoder.feed(sent_bytes[start:end])]
    assert received == sent


@given(
    chunks=st.lists(
        st.binary(max_size=40)
        | st.binary(max_size=40).map(frame)
        | values.map(json.dumps).map(frame)
        | messages.map(wire.encode)
        | st.sampled_from([b"Content-Length: ", b"Content-Length: 9\r\n", b"\r\n\r\n", b"{", b"[" * 5000])
    )
)
@example(chunks=[frame("[" * 200_000)])
@example(chunks=[frame('{"seq":' + "9" * 5000 + "}")])
def test_arbitrary_bytes_raise_nothing_but_protocol_errors(chunks: list[bytes]) -> None:
    decoder = Decoder()
    try:
        for chunk in chunks:
            for message in decoder.feed(chunk):
                wire.encode(message)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            decoder.feed(b"")


def nested(depth: int) -> Message:
    value: object = None
    for _ in range(depth):
        value = [value]
    return REQUEST | {"arguments": {"value": value}}


UNENCODABLE = {
    "no sequence number": ({"type": "event", "event": "x"}, "sequence number"),
    "not a number": (REQUEST | {"n": float("nan")}, "as JSON"),
    "nesting without end": (nested(100_000), "too deeply"),
}


@pytest.mark.parametrize(("message", "reason"), UNENCODABLE.values(), ids=UNENCODABLE.keys())
def test_it_does_not_encode(message: Message, reason: str) -> None:
    with pytest.raises(ProtocolError, match=reason):
        wire.encode(message)


def test_the_sender_numbers_its_messages() -> None:
    assert decoded(wire.encode(REQUEST, 7)) == [REQUEST | {"seq": 7}]
    assert REQUEST["seq"] == 1


BUILT = {
    "a request": (wire.request("threads"), {"type": "request", "command": "threads"}),
    "a request with arguments": (
        wire.request("next", {"threadId": 1}),
        {"type": "request", "command": "next", "arguments": {"threadId": 1}},
    ),
    "an event": (wire.event("initialized"), {"type": "event", "event": "initialized"}),
    "an event with a body": (
        wire.event("output", {"output": "hello\n"}),
        {"type": "event", "event": "output", "body": {"output": "hello\n"}},
    ),
    "a response": (
        wire.response(REQUEST),
        {"type": "response", "request_seq": 1, "success": True, "command": "threads"},
    ),
    "a response with a body": (
        wire.response(REQUEST, {"threads": []}),
        {"type": "response", "request_seq": 1, "success": True, "command": "threads",
         "body": {"threads": []}},
    ),
    "an error": (
        wire.error_response(REQUEST, "Not now.", show_user=False),
        {
            "type": "response", "request_seq": 1, "success": False, "command": "threads",
            "message": "Not now.", "body": {"error": {"id": 1, "format": "Not now.", "showUser": False}},
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("built", "expected"), BUILT.values(), ids=BUILT.keys())
def test_it_builds(built: Message, expected: Message) -> None:
    assert built == expected
    assert decoded(wire.encode(built, 1)) == [expected | {"seq": 1}]


@pytest.mark.parametrize("sentence", ["plain", "{}", "{0} is busy", "{_open}{_close}", "}{", "{{x}}"])
def test_an_error_with_braces_reads_the_same_in_every_client(sentence: str) -> None:
    message = wire.error_response(REQUEST, sentence)
    error = message["body"]["error"]
    assert message["message"] == sentence
    # VS Code replaces all placeholders at once, nvim-dap one variable after the other, in any order.
    variables: dict[str, str] = error.get("variables", {})
    assert re.sub(r"{([^}]+)}", lambda found: variables.get(found[1], found[0]), error["format"]) == sentence
    for order in (list(variables), list(reversed(variables))):
        text = error["format"]
        for name in order:
            text = text.replace("{" + name + "}", variables[name])
        assert text == sentence
