"""Blobs that the JSON parser does not see: what comes out is what a parser would have made of the whole."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.aws.models import load_service_model
from lambent.aws.protocols import large_blobs
from lambent.aws.protocols.api import Target
from lambent.aws.protocols.large_blobs import CutBody, has_blob
from lambent.aws.protocols.rest_json import RestJsonProtocol
from lambent.http.messages import Headers, Request, RequestHead
from lambent.model.errors import ServiceError

_TEXTS = st.text(max_size=12) | st.text("abc+/=", min_size=8, max_size=40) | st.text('a"\\\n', max_size=20)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
)
_MIB = 1024 * 1024
_CODE = bytes(range(256)) * 8192  # 2 MB
_TEXT = base64.b64encode(_CODE).decode()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs of a few bytes are large, and looked for by a few bytes at a time."""
    monkeypatch.setattr(large_blobs, "_BLOB_MIN_BYTES", 8)
    monkeypatch.setattr(large_blobs, "_STEP_BYTES", 5)
    monkeypatch.setattr(large_blobs, "PAUSE_S", 0)


def plain(value: Any) -> Any:
    """With texts for what was left where it was."""
    if isinstance(value, memoryview):
        return json.loads(b'"' + value.tobytes() + b'"')
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def decoded(operation: str, body: bytes) -> dict[str, Any]:
    service = load_service_model("lambda")
    codec = RestJsonProtocol(service).codec(service.operations[operation])
    head = RequestHead("POST", "/", "/", "", Headers())
    found: dict[str, Any] = codec.decode(Request(head, body), Target(operation, {"FunctionName": "f"}))
    return found


@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_VALUES, st.booleans())
def test_any_document_is_the_same(value: object, ascii_only: bool) -> None:
    cut = CutBody(json.dumps(value, ensure_ascii=ascii_only).encode())
    assert plain(cut.whole(json.loads(cut.rest))) == value


@pytest.mark.usefixtures("small")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text('ab"\\{}[]:, 0', max_size=60))
def test_what_is_no_document_stays_none(text: str) -> None:
    cut = CutBody(text.encode())
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(json.JSONDecodeError):
            json.loads(cut.rest)
    else:
        assert plain(cut.whole(json.loads(cut.rest))) == expected


def test_a_package_is_not_shown_to_the_parser() -> None:
    body = json.dumps({"FunctionName": "f", "Code": {"ZipFile": _TEXT}, "Description": "x"}).encode()
    cut = CutBody(body)
    assert len(cut.rest) < 200
    assert decoded("CreateFunction", body) == {
        "FunctionName": "f", "Code": {"ZipFile": _CODE}, "Description": "x",
    }  # fmt: skip


def test_escaped_base64_is_decoded_as_well() -> None:
    body = json.dumps({"ZipFile": _TEXT}).replace("/", "\\/").encode()
    assert decoded("UpdateFunctionCode", body)["ZipFile"] == _CODE


@pytest.mark.parametrize("wrong", ["!", "\\", '"', "\n", "\u00e9", "="])
def test_what_is_no_base64_is_refused(wrong: str) -> None:
    body = b'{"ZipFile": "' + (_TEXT[:_MIB] + wrong + _TEXT[_MIB:]).encode() + b'"}'
    with pytest.raises(ServiceError, match="SerializationException"):
        decoded("UpdateFunctionCode", body)


def test_long_texts_that_are_no_blobs_are_texts_and_are_checked() -> None:
    text = "\u00fc" * _MIB
    body = json.dumps({"Description": text, "Code": {}}, ensure_ascii=False).encode()
    assert decoded("CreateFunction", body) == {"Description": text, "Code": {}}
    for wrong in (b"\xff", b"\x01"):
        with pytest.raises(ServiceError, match="SerializationException"):
            decoded("CreateFunction", body.replace("\u00fc".encode(), wrong, 1))
    with pytest.raises(ServiceError, match="STRING_VALUE can not be converted to an Integer"):
        decoded("CreateFunction", json.dumps({"Timeout": text}).replace("\\u00fc", "x").encode())


def test_operations_with_blobs_are_known() -> None:
    operations = load_service_model("lambda").operations
    names = {name for name, one in operations.items() if one.input is not None and has_blob(one.input)}
    assert {"CreateFunction", "UpdateFunctionCode", "PublishLayerVersion"} <= names
    assert not names & {"CreateAlias", "TagResource", "ListFunctions"}
