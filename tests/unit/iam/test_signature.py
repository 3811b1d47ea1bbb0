"""Signatures that cannot be read, in AWS's words; and what is made out of them without believing anything."""

from __future__ import annotations

import pytest

from lambent.http.messages import Headers, RequestHead
from lambent.iam.refusals import Refusal, SignatureError, WireFamily, service_error, wire_family
from lambent.iam.signature import read_leniently, read_signature

SCOPE = "AKIAQAAAAAAAAAAAAAAA/20260921/us-east-1/lambda/aws4_request"
DATE = ("x-amz-date", "20260921T141320Z")
FIVE_ELEMENTS = (
    "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c'"
)
HASHED = "(Hashed with SHA-256 and encoded with Base64) Authorization="


def head(*headers: tuple[str, str], query: str = "") -> RequestHead:
    return RequestHead("GET", "", "/", query, Headers(headers))


def read(authorization: str, *headers: tuple[str, str]) -> SignatureError:
    with pytest.raises(SignatureError) as raised:
        read_signature(head(("authorization", authorization), *headers))
    return raised.value


def authorization(credential: str = SCOPE, signed: str = "host;x-amz-date", value: str = "0" * 64) -> str:
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={value}"


def test_a_request_without_signature_has_none() -> None:
    assert read_signature(head()) is None
    assert read_signature(head(query="a=1&X-Amz-Date=2")) is None


@pytest.mark.parametrize(
    "text", [authorization(), authorization().replace(", ", ","), authorization().replace(", ", " ,  ")]
)
def test_reads_a_header(text: str) -> None:
    signature = read_signature(head(("authorization", text), DATE, ("x-amz-security-token", "t")))
    assert signature is not None
    assert signature.claim.access_key_id == "AKIAQAAAAAAAAAAAAAAA"
    assert signature.claim.scope == "20260921/us-east-1/lambda/aws4_request"
    assert signature.claim.signed_headers == ("host", "x-amz-date")
    assert (signature.value, signature.session_token) == ("0" * 64, "t")
    assert (signature.signed_at, signature.expires_s, signature.covers_body) == (1_790_000_000.0, None, True)


def test_reads_a_header_with_its_signature_in_front() -> None:
    text = f"AWS4-HMAC-SHA256 Signature=abc, Credential={SCOPE}, SignedHeaders=host"
    signature = read_signature(head(("authorization", text), DATE))
    assert signature is not None
    assert (signature.value, signature.claim.signed_headers) == ("abc", ("host",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Bearer abc",
            (
                "Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' "
                f"parameter. Authorization header requires 'Signature' parameter. {HASHED}"
            ),
        ),
        (f"AWS4-HMAC-SHA256 Credential={SCOPE}", "Authorization header requires 'SignedHeaders' parameter. Auth"),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=0",
            f"Authorization header requires 'SignedHeaders' parameter. {HASHED}",
        ),
        ("AWS4-HMAC-SHA256 Credential= x, Signature=0", "Authorization header requires 'SignedHeaders' parameter. "),
        (
            "AWS4-HMAC-SHA256 nonsense, Signature=0",
            "Invalid key=value pair (missing equal-sign) in Authorization header",
        ),
        ("AWS4-ECDSA-P256-SHA256 Credential=x, Signature=0", "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'."),
        (authorization("a/b/c"), FIVE_ELEMENTS),
        ("", "Authorization header requires 'Credential' parameter. "),
    ],
)
def test_says_what_a_header_lacks(text: str, message: str) -> None:
    error = read(text, DATE)
    assert error.refusal is Refusal.INCOMPLETE
    assert error.message.startswith(message)


def test_does_not_echo_a_foreign_authorization() -> None:
    assert "hunter2" not in read("Basic hunter2", DATE).message


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ((), "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "),
        ((("x-amz-date", "2026-09-21"),), "Date must be in ISO-8601 'basic format'. Got '2026-09-21'. See http"),
        ((("x-amz-date", "20269921T141320Z"),), "Date must be in ISO-8601 'basic format'. Got '20269921T141320Z'. See"),
        ((("date", "yesterday"),), "Date must be in ISO-8601 'basic format'. Got 'yesterday'. See http"),
    ],
)
def test_says_what_is_wrong_with_a_date(headers: tuple[tuple[str, str], ...], message: str) -> None:
    error = read(authorization(), *headers)
    assert error.refusal is Refusal.INCOMPLETE
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("credential", "message"),
    [
        (
            "K/20260920/us-east-1/lambda/aws4_request",
            (
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
                "version of date from HTTP: '20260920' != '20260921', from '20260921T141320Z'."
            ),
        ),
        (
            "K/20260921/us-east-1/lambda/aws5",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5'.",
        ),
        ("K/20260921/US_EAST/lambda/aws4_request", "Credential should be scoped to a valid region, not 'US_EAST'."),
        ("K/20260921//lambda/aws4_request", "Credential should be scoped to a valid region, not ''."),
    ],
)
def test_says_what_is_wrong_with_a_scope(credential: str, message: str) -> None:
    error = read(authorization(credential), DATE)
    assert (error.refusal, error.message) == (Refusal.MISMATCH, message)


def test_host_must_be_signed() -> None:
    error = read(authorization(signed="x-amz-date"), DATE)
    assert error.refusal is Refusal.NOT_SIGNED
    assert error.message == "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."


QUERY = (
    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={SCOPE}&X-Amz-Date=20260921T141320Z&X-Amz-Expires=60"
    "&X-Amz-SignedHeaders=host&X-Amz-Signature=abc"
)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("X-Amz-Signature=a", "AWS query-string parameters must include 'X-Amz-Algorithm'. AWS query"),
        (QUERY.replace("X-Amz-Date", "x"), "AWS query-string parameters must include 'X-Amz-Date'. Re-exam"),
        (QUERY.replace("HMAC", "X"), "Unsupported AWS 'algorithm': 'AWS4-X-SHA256'."),
        (QUERY + "&X-Amz-Date=20260921T141320Z", "Duplicate query parameter 'X-Amz-Date'."),
        (
            QUERY.replace("Expires=60", "Expires=604801"),
            "X-Amz-Expires must be less than a week (in seconds); that is, ",
        ),
        (QUERY.replace("Expires=60", "Expires=-1"), "X-Amz-Expires should be a number"),
        (QUERY.replace("X-Amz-Expires=60&", ""), "X-Amz-Expires should be a number"),
    ],
)
def test_says_what_a_presigned_query_lacks(query: str, message: str) -> None:
    with pytest.raises(SignatureError) as raised:
        read_signature(head(query=query))
    assert raised.value.refusal is Refusal.INCOMPLETE
    assert raised.value.message.startswith(message)


def test_refuses_two_signatures() -> None:
    with pytest.raises(SignatureError, match="Only one auth mechanism allowed"):
        read_signature(head(("authorization", authorization()), DATE, query=QUERY))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (head(("authorization", authorization())), ("AKIAQAAAAAAAAAAAAAAA", "us-east-1", "lambda")),
        (head(query=QUERY.replace("/", "%2F")), ("AKIAQAAAAAAAAAAAAAAA", "us-east-1", "lambda")),
        (head(("authorization", "AWS4 Credential=123456789012/x")), ("123456789012", None, None)),
        (head(("authorization", "AWS4 Credential=a/b/20260921/EU/s3/aws4_request,")), ("a/b", None, "s3")),
        (head(("authorization", "Bearer x")), (None, None, None)),
        (head(), (None, None, None)),
    ],
)
def test_makes_out_who_is_named(given: RequestHead, expected: tuple[str | None, str | None, str | None]) -> None:
    assert read_leniently(given)[:3] == expected


def test_makes_out_a_session_token() -> None:
    assert read_leniently(head(("x-amz-security-token", "t"))).session_token == "t"
    assert read_leniently(head(query="a=1&X-Amz-Security-Token=t%2B&b=2")).session_token == "t+"
    assert read_leniently(head(query="NotX-Amz-Security-Token=t")).session_token is None


@pytest.mark.parametrize(
    ("service", "protocol", "family"),
    [
        ("sts", "query", WireFamily.QUERY),
        ("iam", "query", WireFamily.QUERY),
        ("lambda", "rest-json", WireFamily.REST_JSON),
        ("logs", "json", WireFamily.JSON),
        ("sqs", "json", WireFamily.QUERY),
        ("cloudwatch", "smithy-rpc-v2-cbor", WireFamily.JSON),
        ("s3", "rest-xml", WireFamily.S3),
        ("route53", "rest-xml", WireFamily.QUERY),
        (None, "query", WireFamily.QUERY),
    ],
)
def test_family(service: str | None, protocol: str, family: WireFamily) -> None:
    assert wire_family(service, protocol) is family


@pytest.mark.parametrize(
    ("refusal", "query", "json", "rest_json", "s3"),
    [
        (
            Refusal.NO_SIGNATURE,
            "MissingAuthenticationToken 403",
            "MissingAuthenticationTokenException 400",
            "MissingAuthenticationTokenException 403",
            "AccessDenied 403",
        ),
        (
            Refusal.INCOMPLETE,
            "IncompleteSignature 400",
            "IncompleteSignatureException 400",
            "IncompleteSignatureException 403",
            "AuthorizationHeaderMalformed 400",
        ),
        (
            Refusal.UNKNOWN_KEY,
            "InvalidClientTokenId 403",
            "UnrecognizedClientException 400",
            "UnrecognizedClientException 403",
            "InvalidAccessKeyId 403",
        ),
        (
            Refusal.MISMATCH,
            "SignatureDoesNotMatch 403",
            "InvalidSignatureException 400",
            "InvalidSignatureException 403",
            "SignatureDoesNotMatch 403",
        ),
        (
            Refusal.SKEWED,
            "SignatureDoesNotMatch 403",
            "InvalidSignatureException 400",
            "InvalidSignatureException 403",
            "RequestTimeTooSkewed 403",
        ),
        (
            Refusal.SESSION_EXPIRED,
            "ExpiredToken 403",
            "ExpiredTokenException 400",
            "ExpiredTokenException 403",
            "ExpiredToken 400",
        ),
    ],
)
def test_each_family_has_its_own_codes(refusal: Refusal, query: str, json: str, rest_json: str, s3: str) -> None:
    error = SignatureError(refusal, "m", "d")
    got = [
        service_error(error, family)
        for family in (WireFamily.QUERY, WireFamily.JSON, WireFamily.REST_JSON, WireFamily.S3)
    ]
    assert [f"{one.code} {one.status}" for one in got] == [query, json, rest_json, s3]


def test_only_rest_services_append_the_canonical_string() -> None:
    error = SignatureError(Refusal.MISMATCH, "m", " detail")
    assert service_error(error, WireFamily.REST_JSON).message == "m detail"
    assert service_error(error, WireFamily.QUERY).message == "m"
    assert service_error(error, WireFamily.JSON).message == "m"
