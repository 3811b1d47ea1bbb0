"""Verification held against botocore's signers, request by request; and our own signer against both."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from lambent.http.messages import Headers, Request, RequestHead
from lambent.iam.principal import Credentials
from lambent.iam.refusals import Refusal, SignatureError
from lambent.iam.signature import UNSIGNED_PAYLOAD, Signature, read_signature
from lambent.iam.sigv4 import SKEW_S, payload_digest, presign, sign, signing_key, verify

NOW = 1_790_000_000.0
KEY_ID, SECRET, TOKEN = "AKIAQAAAAAAAAAAAAAAA", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "tok/en+with=signs=="
URL = "http://127.0.0.1:4566"

Sign = Callable[[SigV4Auth, AWSRequest, float], Request]

segments = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F), max_size=8)
paths = st.lists(st.one_of(segments, st.sampled_from([".", "..", "", "a%b"])), max_size=5)
pairs = st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=5, unique_by=lambda pair: pair[0])
header_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
headers = st.dictionaries(
    st.sampled_from(["X-Amz-Target", "X-Amz-Meta-A", "X-Custom", "Accept", "User-Agent"]), header_values
)
bodies = st.one_of(st.just(b""), st.binary(max_size=64))


def url_of(path: list[str], query: list[tuple[str, str]]) -> str:
    text = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query)
    return f"{URL}/{'/'.join(quote(segment, safe='-_.~') for segment in path)}" + (f"?{text}" if text else "")


def credentials(token: str | None = None) -> BotocoreCredentials:
    return BotocoreCredentials(KEY_ID, SECRET, token)


def check(request: Request, *, secret: str = SECRET, now: float = NOW, body: bytes | None = None) -> Signature:
    """Verify as the server does; the signature is handed back."""
    signature = read_signature(request.head)
    assert signature is not None
    if signature.claim.access_key_id != KEY_ID:
        raise SignatureError(Refusal.UNKNOWN_KEY, "")
    digest = payload_digest(request.body if body is None else body) if signature.covers_body else None
    verify(signature, request.head, digest, secret, now)
    return signature


def refusal(request: Request, *, secret: str = SECRET, now: float = NOW, body: bytes | None = None) -> Refusal:
    with pytest.raises(SignatureError) as raised:
        check(request, secret=secret, now=now, body=body)
    return raised.value.refusal


@settings(max_examples=150, deadline=None)
@given(paths, pairs, headers, bodies, st.booleans(), st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
def test_accepts_what_botocore_signs_in_headers(
    signed: Sign,
    path: list[str],
    query: list[tuple[str, str]],
    fields: dict[str, str],
    body: bytes,
    with_token: bool,
    method: str,
) -> None:
    request = AWSRequest(method, url_of(path, query), data=body, headers=fields)
    auth = SigV4Auth(credentials(TOKEN if with_token else None), "lambda", "eu-west-1")
    signature = check(signed(auth, request, NOW))
    assert signature.claim.access_key_id == KEY_ID
    assert (signature.claim.region, signature.claim.service) == ("eu-west-1", "lambda")
    assert signature.session_token == (TOKEN if with_token else None)


@settings(max_examples=60, deadline=None)
@given(paths, pairs, bodies)
def test_accepts_what_botocore_signs_for_s3(
    signed: Sign, path: list[str], query: list[tuple[str, str]], body: bytes
) -> None:
    request = AWSRequest("PUT", url_of(path, query), data=body)
    check(signed(S3SigV4Auth(credentials(TOKEN), "s3", "us-east-1"), request, NOW))


@settings(max_examples=80, deadline=None)
@given(paths, pairs, st.integers(1, 604_800), st.booleans())
def test_accepts_what_botocore_presigns(
    signed: Sign, path: list[str], query: list[tuple[str, str]], expires: int, for_s3: bool
) -> None:
    request = AWSRequest("GET", url_of(path, query))
    auth = (
        S3SigV4QueryAuth(credentials(TOKEN), "s3", "us-east-1", expires=expires)
        if for_s3
        else SigV4QueryAuth(credentials(TOKEN), "sts", "us-east-1", expires=expires)
    )
    signature = check(signed(auth, request, NOW), now=NOW + expires)
    assert signature.expires_s == expires
    assert signature.session_token == TOKEN


def test_accepts_text_beyond_ascii_in_headers(signed: Sign) -> None:
    request = AWSRequest("GET", URL, headers={"X-Amz-Meta-Name": "Zoë à"})
    check(signed(SigV4Auth(credentials(), "lambda", "us-east-1"), request, NOW))


def test_accepts_utf8_bytes_in_headers() -> None:
    """Other SDKs sign the bytes they send; those reach us as Latin-1 text."""
    raw = "à  b".encode().decode("latin-1")
    head = RequestHead("GET", "/", "/", "", Headers((("host", "h"), ("x-amz-meta-n", raw))))
    added = sign(head, payload_digest(b""), Credentials(KEY_ID, SECRET), region="r", service="lambda", now=NOW)
    check(Request(RequestHead("GET", "/", "/", "", Headers((*head.headers.items, *added))), b""))


def test_joins_repeated_headers_and_squeezes_blanks(signed: Sign) -> None:
    request = AWSRequest("POST", f"{URL}/x", data=b"b")
    request.headers.add_header("X-Amz-List", "a   b")
    request.headers.add_header("X-Amz-List", "c")
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), request, NOW)
    fields = tuple((name, value.replace("a b", "a \t b")) for name, value in arrived.headers)
    check(Request(RequestHead("POST", "/x", "/x", "", Headers(fields)), b"b"))


def test_takes_the_date_header_in_place_of_x_amz_date(signed: Sign) -> None:
    request = AWSRequest("GET", URL, headers={"Date": "whatever: botocore replaces it"})
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), request, NOW)
    assert "x-amz-date" not in arrived.headers
    check(arrived)


@pytest.mark.parametrize("payload", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
def test_an_unsigned_payload_need_not_be_hashed(signed: Sign, payload: str) -> None:
    request = AWSRequest("PUT", URL, data=b"data", headers={"X-Amz-Content-SHA256": payload})
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), request, NOW)
    signature = read_signature(arrived.head)
    assert signature is not None
    assert not signature.covers_body
    verify(signature, arrived.head, None, SECRET, NOW)


def test_holds_a_declared_digest_against_the_body(signed: Sign) -> None:
    request = AWSRequest("PUT", URL, data=b"data", headers={"X-Amz-Content-SHA256": payload_digest(b"data")})
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), request, NOW)
    check(arrived)
    assert refusal(arrived, body=b"date") is Refusal.MISMATCH


@pytest.mark.parametrize(
    ("payload", "expected"),
    [("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Refusal.UNSUPPORTED), ("nonsense", Refusal.INCOMPLETE)],
)
def test_refuses_payload_kinds_it_cannot_verify(signed: Sign, payload: str, expected: Refusal) -> None:
    request = AWSRequest("PUT", URL, data=b"data", headers={"X-Amz-Content-SHA256": payload})
    assert refusal(signed(SigV4Auth(credentials(), "s3", "us-east-1"), request, NOW)) is expected


def test_needs_a_digest_where_the_body_is_signed(signed: Sign) -> None:
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), AWSRequest("GET", URL), NOW)
    signature = read_signature(arrived.head)
    assert signature is not None
    with pytest.raises(ValueError, match="covers the body"):
        verify(signature, arrived.head, None, SECRET, NOW)


@pytest.mark.parametrize(
    "query", ["b=2&a=1", "a-b=1&a=1", "a=2&a=1", "flag", "a=x/y&b=:", "a=%2f", "a=b+c", "A=1&a=1&%C3%A9=%C3%A8"]
)
def test_accepts_a_query_signed_as_sent_or_as_meant(query: str) -> None:
    """botocore signs the pairs as they are in a URL, AWS's own description has them encoded anew: both are in use."""
    head = RequestHead("GET", f"/?{query}", "/", query, Headers((("host", "h"),)))
    added = sign(head, payload_digest(b""), Credentials(KEY_ID, SECRET), region="r", service="lambda", now=NOW)
    check(Request(RequestHead("GET", head.target, "/", query, Headers((*head.headers.items, *added))), b""))
    request = AWSRequest("GET", f"http://h/?{query}")
    auth = SigV4Auth(credentials(), "lambda", "us-east-1")
    request.context["timestamp"] = "20260921T141320Z"
    text = auth.string_to_sign(request, auth.canonical_request(request))
    value = auth.signature(text, request)
    scope = f"{KEY_ID}/20260921/us-east-1/lambda/aws4_request"
    fields = (
        ("host", "h"),
        ("authorization", f"AWS4-HMAC-SHA256 Credential={scope},SignedHeaders=host,Signature={value}"),
        ("date", "20260921T141320Z"),
    )
    head = RequestHead("GET", head.target, "/", query, Headers(fields))
    check(Request(head, b""))


@pytest.mark.parametrize("name", ["x-amz-meta-added", "x-amz-security-token", "x-amz-invocation-type"])
def test_refuses_an_amz_header_slipped_in(signed: Sign, name: str) -> None:
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), AWSRequest("GET", URL), NOW)
    fields = (*arrived.headers.items, (name, "v"))
    assert refusal(Request(RequestHead("GET", "/", "/", "", Headers(fields)), b"")) is Refusal.NOT_SIGNED


def test_every_changed_byte_is_refused(signed: Sign) -> None:
    """Of method, target, signed headers, Authorization and body; but for unsigned headers and mere blanks."""
    request = AWSRequest(
        "POST", f"{URL}/2015-03-31/functions/my-fn/invocations?Qualifier=v1&x=%2F", data=b'{"a": 1}',
        headers={"X-Amz-Client-Context": "e30=", "Content-Type": "application/json"},
    )  # fmt: skip
    arrived = signed(SigV4Auth(credentials(TOKEN), "lambda", "us-east-1"), request, NOW)
    check(arrived)
    head, changed = arrived.head, 0
    for other in _each_byte(head.method):
        changed += _is_refused(RequestHead(other, head.target, head.path, head.query, head.headers), arrived.body)
    for other in _each_byte(head.path):
        changed += _is_refused(RequestHead(head.method, "", other, head.query, head.headers), arrived.body)
    for other in _each_byte(head.query):
        changed += _is_refused(RequestHead(head.method, "", head.path, other, head.headers), arrived.body)
    for position, (name, value) in enumerate(head.headers.items):
        for other in _each_byte(value):
            fields = (*head.headers.items[:position], (name, other), *head.headers.items[position + 1 :])
            changed += _is_refused(RequestHead(head.method, "", head.path, head.query, Headers(fields)), arrived.body)
    for other in _each_byte(arrived.body.decode()):
        changed += _is_refused(head, other.encode())
    assert changed > 500


def _each_byte(text: str) -> list[str]:
    return [text[:at] + replacement + text[at + 1 :] for at in range(len(text)) for replacement in _others(text[at])]


def _others(character: str) -> list[str]:
    return [chr(ord(character) ^ 1), chr((ord(character) + 7) % 0x5E + 0x21)]


def _is_refused(head: RequestHead, body: bytes) -> bool:
    with pytest.raises(SignatureError):
        check(Request(head, body))
    return True


def test_every_changed_byte_of_a_presigned_query_is_refused(signed: Sign) -> None:
    auth = SigV4QueryAuth(credentials(TOKEN), "sts", "us-east-1", expires=900)
    arrived = signed(auth, AWSRequest("GET", f"{URL}/?Action=GetCallerIdentity&Version=2011-06-15"), NOW)
    check(arrived)
    for query in _each_byte(arrived.query):
        request = Request(RequestHead("GET", "", "/", query, arrived.headers), b"")
        if _is_signed(request.head):
            assert refusal(request) in Refusal


def _is_signed(head: RequestHead) -> bool:
    try:
        return read_signature(head) is not None
    except SignatureError:
        return True


def test_refuses_another_secret(signed: Sign) -> None:
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), AWSRequest("GET", URL), NOW)
    assert refusal(arrived, secret=SECRET[:-1] + "Z") is Refusal.MISMATCH


def test_a_mismatch_tells_the_canonical_string(signed: Sign) -> None:
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), AWSRequest("GET", f"{URL}/a%20b?q=1"), NOW)
    with pytest.raises(SignatureError) as raised:
        check(arrived, secret="other")
    assert raised.value.detail.startswith(
        "\n\nThe Canonical String for this request should have been\n'GET\n/a%2520b\nq=1\nhost:127.0.0.1:4566\n"
    )
    assert "\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20260921T" in raised.value.detail


@pytest.mark.parametrize(
    ("age_s", "past_skew_s", "text"),
    [
        (0, SKEW_S, None),
        (299, SKEW_S, None),
        (300, SKEW_S, None),
        (301, SKEW_S, "Signature expired: {} is now earlier than 20260921T141321Z (20260921T141821Z - 5 min.)"),
        (301, 900.0, None),
        (901, 900.0, "Signature expired: {} is now earlier than 20260921T141321Z (20260921T142821Z - 15 min.)"),
        (-300, SKEW_S, None),
        (
            -301,
            SKEW_S,
            "Signature not yet current: {} is still later than 20260921T141319Z (20260921T140819Z + 5 min.)",
        ),
    ],
)
def test_skew(signed: Sign, age_s: float, past_skew_s: float, text: str | None) -> None:
    arrived = signed(SigV4Auth(credentials(), "lambda", "us-east-1"), AWSRequest("GET", URL), NOW)
    signature = read_signature(arrived.head)
    assert signature is not None
    digest = payload_digest(b"")
    if text is None:
        verify(signature, arrived.head, digest, SECRET, NOW + age_s, past_skew_s=past_skew_s)
        return
    with pytest.raises(SignatureError) as raised:
        verify(signature, arrived.head, digest, SECRET, NOW + age_s, past_skew_s=past_skew_s)
    assert raised.value.refusal is Refusal.SKEWED
    assert raised.value.message == text.format("20260921T141320Z")


@pytest.mark.parametrize(("age_s", "good"), [(0, True), (600, True), (601, False), (-300, True), (-301, False)])
def test_a_presigned_request_is_good_for_as_long_as_it_says(signed: Sign, age_s: float, good: bool) -> None:
    auth = SigV4QueryAuth(credentials(), "sts", "us-east-1", expires=600)
    arrived = signed(auth, AWSRequest("GET", URL), NOW)
    if good:
        check(arrived, now=NOW + age_s)
    else:
        assert refusal(arrived, now=NOW + age_s) is Refusal.SKEWED


@settings(max_examples=60, deadline=None)
@given(paths, pairs, bodies, st.booleans(), st.sampled_from(["lambda", "s3", "iam"]))
def test_what_we_sign_is_what_botocore_signs(
    signed: Sign, path: list[str], query: list[tuple[str, str]], body: bytes, with_token: bool, service: str
) -> None:
    token = TOKEN if with_token else None
    auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials(token), service, "us-east-1")
    request = AWSRequest("PUT", url_of(path, query), data=body, headers={"X-Amz-Target": "a  b"})
    theirs = signed(auth, request, NOW)
    bare = RequestHead(
        "PUT", "", theirs.path, theirs.query, Headers((("host", "127.0.0.1:4566"), ("x-amz-target", "a  b")))
    )
    ours = sign(
        bare, payload_digest(body), Credentials(KEY_ID, SECRET, token), region="us-east-1", service=service, now=NOW
    )
    assert dict(ours)["authorization"] == theirs.headers.get("authorization")


def test_what_we_sign_unsigned_and_presign_verifies() -> None:
    head = RequestHead("PUT", "", "/a b/../c", "x=1", Headers((("host", "h:1"), ("content-type", "text/plain"))))
    key = Credentials(KEY_ID, SECRET, TOKEN)
    added = sign(head, UNSIGNED_PAYLOAD, key, region="r", service="lambda", now=NOW)
    check(Request(RequestHead("PUT", "", head.path, "x=1", Headers((*head.headers.items, *added))), b"any"))
    for service in ("lambda", "s3"):
        query = presign(head, key, region="r", service=service, now=NOW, expires_s=60)
        request = Request(RequestHead("PUT", "", head.path, query, head.headers), b"")
        check(request, now=NOW + 60)
        assert refusal(request, now=NOW + 61) is Refusal.SKEWED


def test_signing_key_is_the_published_example() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""
    key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20120215", "us-east-1", "iam")
    assert key.hex() == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d"
