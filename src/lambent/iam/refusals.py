"""Why a request's identity is refused, and how each family of AWS services words it. Pure.

Verification raises `SignatureError` with a `Refusal`; only here is it turned into the code and status a client of that
service expects, for the same fact has four names on AWS: an unknown key is `InvalidClientTokenId` at STS (403),
`UnrecognizedClientException` at DynamoDB (400) and at Lambda (403), `InvalidAccessKeyId` at S3.
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html,
https://docs.aws.amazon.com/lambda/latest/api/CommonErrors.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from lambent.model.errors import ServiceError


class Refusal(Enum):
    """Why a request was not authenticated."""

    NO_SIGNATURE = "no signature at all"
    INCOMPLETE = "a signature that cannot be read"
    UNKNOWN_KEY = "an access key nobody has, or a session token that is not its own"
    MISMATCH = "a signature over something else, or by another secret"
    SKEWED = "signed too long ago, or in the future"
    SESSION_EXPIRED = "a session that is over"
    NOT_SIGNED = "a header that must be signed is not"
    UNSUPPORTED = "a kind of signature that is not implemented"


class SignatureError(Exception):
    """A request cannot be attributed to the key it names. `message` is in AWS's words, without the code.

    `detail` is what some services append for debugging (the canonical string).
    """

    def __init__(self, refusal: Refusal, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message
        self.detail = detail


class WireFamily(Enum):
    """Services that word their refusals alike."""

    QUERY = "query"  # and XML services other than S3
    JSON = "json"
    REST_JSON = "rest-json"
    S3 = "s3"


def wire_family(service: str | None, protocol: str) -> WireFamily:
    """The family of a service with that botocore name and protocol (`query`, `json`, `rest-json`, …)."""
    if service is not None and service.startswith("s3"):
        return WireFamily.S3
    if protocol == "rest-json":
        return WireFamily.REST_JSON
    if service == "sqs":  # spoke the query protocol first, and kept its codes
        return WireFamily.QUERY
    if protocol in ("json", "smithy-rpc-v2-cbor"):
        return WireFamily.JSON
    return WireFamily.QUERY


MISMATCH_MESSAGE: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
NO_SIGNATURE_MESSAGE: Final = "Request is missing Authentication Token"
UNKNOWN_KEY_MESSAGE: Final = "The security token included in the request is invalid."
SESSION_EXPIRED_MESSAGE: Final = "The security token included in the request is expired"

_JSON_CODES: Final = {
    Refusal.NO_SIGNATURE: "MissingAuthenticationTokenException",
    Refusal.INCOMPLETE: "IncompleteSignatureException",
    Refusal.UNKNOWN_KEY: "UnrecognizedClientException",
    Refusal.MISMATCH: "InvalidSignatureException",
    Refusal.SKEWED: "InvalidSignatureException",
    Refusal.SESSION_EXPIRED: "ExpiredTokenException",
    Refusal.NOT_SIGNED: "InvalidSignatureException",
    Refusal.UNSUPPORTED: "IncompleteSignatureException",
}
_CODES: Final[dict[WireFamily, dict[Refusal, tuple[str, int]]]] = {
    WireFamily.QUERY: {
        Refusal.NO_SIGNATURE: ("MissingAuthenticationToken", 403),
        Refusal.INCOMPLETE: ("IncompleteSignature", 400),
        Refusal.UNKNOWN_KEY: ("InvalidClientTokenId", 403),
        Refusal.MISMATCH: ("SignatureDoesNotMatch", 403),
        Refusal.SKEWED: ("SignatureDoesNotMatch", 403),
        Refusal.SESSION_EXPIRED: ("ExpiredToken", 403),
        Refusal.NOT_SIGNED: ("SignatureDoesNotMatch", 403),
        Refusal.UNSUPPORTED: ("IncompleteSignature", 400),
    },
    WireFamily.JSON: {refusal: (code, 400) for refusal, code in _JSON_CODES.items()},
    WireFamily.REST_JSON: {refusal: (code, 403) for refusal, code in _JSON_CODES.items()},
    WireFamily.S3: {
        Refusal.NO_SIGNATURE: ("AccessDenied", 403),
        Refusal.INCOMPLETE: ("AuthorizationHeaderMalformed", 400),
        Refusal.UNKNOWN_KEY: ("InvalidAccessKeyId", 403),
        Refusal.MISMATCH: ("SignatureDoesNotMatch", 403),
        Refusal.SKEWED: ("RequestTimeTooSkewed", 403),
        Refusal.SESSION_EXPIRED: ("ExpiredToken", 400),
        Refusal.NOT_SIGNED: ("AccessDenied", 403),
        Refusal.UNSUPPORTED: ("NotImplemented", 501),
    },
}
_S3_MESSAGES: Final = {
    Refusal.NO_SIGNATURE: "Access Denied",
    Refusal.UNKNOWN_KEY: "The AWS Access Key Id you provided does not exist in our records.",
    Refusal.MISMATCH: (
        "The request signature we calculated does not match the signature you provided. Check your key and signing "
        "method."
    ),
    Refusal.SKEWED: "The difference between the request time and the current time is too large.",
    Refusal.SESSION_EXPIRED: "The provided token has expired.",
    Refusal.NOT_SIGNED: "There were headers present in the request which were not signed",
}


def service_error(error: SignatureError, family: WireFamily) -> ServiceError:
    """The refusal as a client of that family of services knows it."""
    code, status = _CODES[family][error.refusal]
    message = error.message
    if error.refusal is Refusal.NO_SIGNATURE and family is WireFamily.REST_JSON:
        message = "Missing Authentication Token"
    if family is WireFamily.S3:
        message = _S3_MESSAGES.get(error.refusal, message)
    elif family is WireFamily.REST_JSON:
        message += error.detail
    return ServiceError(code, message, status=status, members={"Type": None})
