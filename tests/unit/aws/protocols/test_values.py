"""Tables of values on the wire, where botocore as a peer is more lenient than the wire is varied."""

from __future__ import annotations

import base64
import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.models import ServiceModel, Shape, load_service_model
from lambent.aws.protocols import timestamps
from lambent.aws.protocols.api import Target
from lambent.aws.protocols.form_values import FormReaders, field_tree
from lambent.aws.protocols.json_values import Decoders, Encoders, decode_base64
from lambent.aws.protocols.registry import PROTOCOLS
from lambent.aws.protocols.rest_bindings import InputBindings, OutputBindings, header_text, parse_query
from lambent.aws.protocols.xml_values import XmlWriters, xml_text
from lambent.http.messages import Headers, Request, RequestHead
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

MOMENT = datetime(2026, 11, 23, 17, 30, 5, tzinfo=UTC)
SCALARS = {
    "String": {"type": "string"},
    "Integer": {"type": "integer"},
    "Long": {"type": "long"},
    "Double": {"type": "double"},
    "Boolean": {"type": "boolean"},
    "Blob": {"type": "blob"},
    "Time": {"type": "timestamp"},
    "Document": {"type": "structure", "members": {}, "document": True},
    "Strings": {"type": "list", "member": {"shape": "String"}},
    "Integers": {"type": "list", "member": {"shape": "Integer"}},
    "Times": {"type": "list", "member": {"shape": "Time"}},
    "Map": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "String"}},
    "Lists": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "Strings"}},
}


def structure(**members: dict[str, Any]) -> Shape:
    shapes = SCALARS | {"It": {"type": "structure", "members": members}}
    return Shape(shapes, {"shape": "It"})


@pytest.mark.parametrize(
    "text",
    [
        "1795455005",
        "1795455005.0",
        "1.795455005E9",
        "2026-11-23T17:30:05Z",
        "2026-11-23T17:30:05.000Z",
        "2026-11-23T18:30:05+01:00",
        "2026-11-23T17:30:05",
        "20261123T173005Z",
        "Mon, 23 Nov 2026 17:30:05 GMT",
        "Mon, 23 Nov 2026 18:30:05 +0100",
    ],
)
def test_timestamps_are_read_in_every_format(text: str) -> None:
    assert timestamps.parse_timestamp(text) == MOMENT


@pytest.mark.parametrize("text", ["", "yesterday", "NaN", "Infinity", "1e300", "2026-13-01", "Mon, 99 Nov 2026"])
def test_what_is_no_timestamp(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        timestamps.parse_timestamp(text)


def test_timestamps_are_written_in_every_format() -> None:
    later = MOMENT.replace(microsecond=250_400)
    assert [timestamps.to_epoch(value) for value in (MOMENT, later, 1.5, 2.0)] == [1795455005, 1795455005.25, 1.5, 2]
    assert timestamps.to_iso8601(MOMENT) == "2026-11-23T17:30:05Z"
    assert timestamps.to_iso8601(later) == "2026-11-23T17:30:05.250Z"
    assert timestamps.to_iso8601(1795455005) == "2026-11-23T17:30:05Z"
    assert timestamps.to_rfc822(MOMENT) == "Mon, 23 Nov 2026 17:30:05 GMT"


def test_json_values_both_ways() -> None:
    shape = structure(
        I={"shape": "Integer"},
        D={"shape": "Double"},
        B={"shape": "Blob"},
        T={"shape": "Time"},
        Iso={"shape": "Time", "timestampFormat": "iso8601"},
        Doc={"shape": "Document"},
        Renamed={"shape": "Map", "locationName": "wire"},
    )
    wire = {
        "I": 3,
        "D": "NaN",
        "B": "AP8=",
        "T": 1795455005,
        "Iso": "2026-11-23T17:30:05Z",
        "Doc": {"any": [None, 1]},
        "wire": {"k": "v"},
    }
    read = Decoders().structure(shape)(wire | {"Unknown": 1, "__type": "x"})
    assert math.isnan(read.pop("D"))
    assert read == {
        "I": 3,
        "B": b"\x00\xff",
        "T": MOMENT,
        "Iso": MOMENT,
        "Doc": {"any": [None, 1]},
        "Renamed": {"k": "v"},
    }
    assert Encoders().structure(shape)(read | {"D": math.nan, "X": 1}) == wire
    assert Decoders().structure(shape)({"I": 2.9, "B": None}) == {"I": 2}  # the framework truncates


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ({"shape": "Integer"}, 2**31, "NUMBER_VALUE can not be converted to an Integer"),
        ({"shape": "Long"}, -(2**63) - 1, "NUMBER_VALUE can not be converted to a Long"),
        ({"shape": "Long"}, 1e30, "NUMBER_VALUE can not be converted to a Long"),
        ({"shape": "Long"}, "x", "STRING_VALUE can not be converted to a Long"),
        ({"shape": "Boolean"}, "true", "STRING_VALUE can not be converted to an Boolean"),
        ({"shape": "Time"}, "x", "STRING_VALUE can not be converted to milliseconds since epoch"),
        ({"shape": "Time"}, 1e300, "NUMBER_VALUE can not be converted to milliseconds since epoch"),
        ({"shape": "Double"}, "x", "STRING_VALUE can not be converted to a Double"),
        ({"shape": "Double"}, False, "FALSE_VALUE can not be converted to a Double"),
        ({"shape": "Strings"}, [1], "NUMBER_VALUE can not be converted to a String"),
        ({"shape": "Map"}, {"k": []}, "Start of list found where not expected"),
    ],
)
def test_json_of_the_wrong_type(member: dict[str, Any], value: object, message: str) -> None:
    with pytest.raises(ServiceError) as caught:
        Decoders().structure(structure(M=member))({"M": value})
    assert (caught.value.code, caught.value.message) == ("SerializationException", message)


def at(location: str, shape: str, name: str, **traits: Any) -> dict[str, Any]:
    return {"shape": shape, "location": location, "locationName": name, **traits}


def read_bound(shape: Shape, query: str = "", headers: tuple[tuple[str, str], ...] = (), **labels: str) -> Any:
    params: dict[str, Any] = {}
    InputBindings(shape, "/x?fixed").read(params, labels, query, Headers(headers))
    return params


def test_query_strings() -> None:
    shape = structure(
        N=at("querystring", "Integer", "n"),
        B=at("querystring", "Boolean", "b"),
        L=at("querystring", "Integers", "l"),
        T=at("querystring", "Time", "t"),
        Rest=at("querystring", "Lists", ""),
    )
    query = "n=3&l=1&l=2&b=true&t=2026-11-23T17%3A30%3A05Z&fixed&x=a+b%2B&x=&y"
    assert read_bound(shape, query) == {
        "N": 3,
        "B": True,
        "L": [1, 2],
        "T": MOMENT,
        "Rest": {"x": ["a b+", ""], "y": [""]},
    }
    assert parse_query("&&=x&a=b=c") == {"a": ["b=c"]}
    for wrong in ("n=x", "n=1_0", "b=1", "l=", "t=never", f"n={'9' * 5000}", f"n={2**31}"):
        with pytest.raises(ServiceError, match="SerializationException"):
            read_bound(shape, wrong)


def test_headers_in_and_out() -> None:
    shape = structure(
        S=at("header", "String", "X-S"),
        L=at("header", "Strings", "X-L"),
        T=at("header", "Time", "X-T"),
        Ts=at("header", "Times", "X-Ts"),
        J=at("header", "String", "X-J", jsonvalue=True),
        M=at("headers", "Map", "x-m-"),
    )
    headers = (
        ("x-s", "\u00fcber".encode().decode("latin-1")),
        ("x-l", 'a, "b,\\"c" , d'),
        ("x-t", "Mon, 23 Nov 2026 17:30:05 GMT"),
        ("x-ts", "Mon, 23 Nov 2026 17:30:05 GMT, Mon, 23 Nov 2026 17:30:05 GMT"),
        ("x-j", "eyJhIjpbMV19"),
        ("x-m-one", "1"),
    )
    values = {
        "S": "\u00fcber",
        "L": ["a", 'b,"c', "d"],
        "T": MOMENT,
        "Ts": [MOMENT, MOMENT],
        "J": {"a": [1]},
        "M": {"one": "1"},
    }
    assert read_bound(shape, headers=headers) == values
    written = OutputBindings(shape).headers(values)
    assert read_bound(shape, headers=tuple((name.lower(), value) for name, value in written)) == values
    assert read_bound(shape, headers=(("x-s", "\xff"),)) == {"S": "\xff"}
    with pytest.raises(ServiceError, match="SerializationException"):
        read_bound(shape, headers=(("x-j", "!"),))


@given(st.text())
def test_no_text_breaks_out_of_a_header(text: str) -> None:
    safe = header_text(text)
    safe.encode("latin-1")
    assert not any(ord(character) < 32 or ord(character) == 127 for character in safe)


def test_form_fields() -> None:
    shape = structure(S={"shape": "Strings"}, M={"shape": "Map"}, F={"shape": "Strings", "flattened": True})
    read = FormReaders().structure(shape)

    def of(*fields: str) -> Any:
        return read(field_tree((name, value) for name, _, value in (field.partition("=") for field in fields)))

    assert of("S.member.2=b", "S.member.10=c", "S.member.1=a", "F.1=x", "F.2=y") == {
        "S": ["a", "b", "c"],
        "F": ["x", "y"],
    }
    assert of("M.entry.1.key=k", "M.entry.1.value=v", "M.entry.2.value=lost") == {"M": {"k": "v"}}
    assert of("S=", "M=") == {"S": [], "M": {}}
    assert of("S.member.x=1", "S.member.\u0661=1", "Unknown.a.b=1", "=", ".=") == {"S": []}
    assert of("S=scalar", "M.entry=1", "S..member.1=x", f"S{'.member' * 100}=x") == {"M": {}}


def test_xml_that_is_always_well_formed() -> None:
    assert xml_text("<&>\x00\r\ud800") == "&lt;&amp;&gt;\ufffd&#xD;\ufffd"
    out: list[str] = []
    shape = structure(S={"shape": "Strings"}, F={"shape": "Strings", "flattened": True}, M={"shape": "Map"})
    XmlWriters().content(shape)({"S": ["a", None], "F": ["<"], "M": {"k": "v", "n": None}, "X": 1}, out)
    assert "".join(out) == ("<S><member>a</member></S><F>&lt;</F><M><entry><key>k</key><value>v</value></entry></M>")


async def _frames() -> Any:
    yield b"frame"


@pytest.mark.parametrize(
    ("service", "protocol", "operation", "member"),
    [
        ("lambda", "rest-json", "InvokeWithResponseStream", "EventStream"),
        ("logs", "json", "StartLiveTail", "responseStream"),
    ],
)
def test_event_streams_pass_through(service: str, protocol: str, operation: str, member: str) -> None:
    model = load_service_model(service)
    frames = _frames()
    response = PROTOCOLS[protocol](model).codec(model.operations[operation]).encode({member: frames}, RequestId("id"))
    assert response.body is frames
    assert dict(response.headers)["Content-Type"] == "application/vnd.amazon.eventstream"


def test_a_former_query_service_has_the_header_for_clients_of_that_time() -> None:
    protocol = PROTOCOLS["json"](load_service_model("sqs"))
    response = protocol.encode_error(ServiceError("QueueDoesNotExist", "No queue."), RequestId("id"))
    assert isinstance(response.body, bytes)
    assert orjson.loads(response.body) == {"__type": "QueueDoesNotExist", "message": "No queue."}
    headers = dict(response.headers)
    assert headers["x-amzn-query-error"] == "QueueDoesNotExist;Sender"
    assert headers["Content-Type"] == "application/x-amz-json-1.0"


def test_a_text_payload_must_be_utf_8() -> None:
    shape = {"type": "structure", "members": {"Body": {"shape": "String"}}, "payload": "Body"}
    operation = {"name": "Put", "http": {"method": "PUT", "requestUri": "/"}, "input": {"shape": "In"}}
    document = {
        "metadata": {"protocol": "rest-json"},
        "operations": {"Put": operation},
        "shapes": SCALARS | {"In": shape},
    }
    model = ServiceModel("toy", document)
    codec = PROTOCOLS["rest-json"](model).codec(model.operations["Put"])
    head = RequestHead("PUT", "/", "/", "", Headers())
    assert codec.decode(Request(head, "\u00fc".encode()), Target("Put", {})) == {"Body": "\u00fc"}
    with pytest.raises(ServiceError, match="SerializationException"):
        codec.decode(Request(head, b"\xff"), Target("Put", {}))


def test_large_blobs_are_decoded_in_steps_and_strictly() -> None:
    content = bytes(range(256)) * 8192 + b"x"
    text = base64.b64encode(content).decode()
    assert len(text) > 5 * 512 * 1024
    assert decode_base64(text) == content
    middle = 512 * 1024
    for wrong in (text[: middle - 2] + "==" + text[middle:], text[:-1], text + "A", "A A=", "\u00fc"):
        with pytest.raises(ServiceError, match="SerializationException"):
            decode_base64(wrong)
    assert decode_base64("") == b""
