"""What AssumeRole may add to a session: session policies, session tags, a source identity.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html. Nothing of the wire but its parameters.
"""

from __future__ import annotations

from typing import Final

from lambent.aws.context import Params
from lambent.iam.managed_policies import ManagedPolicies
from lambent.iam.policy_documents import check_identity_policy, malformed
from lambent.iam.principal import Principal
from lambent.iam.sessions import SessionNarrowing
from lambent.iam.tags import tagged
from lambent.model.errors import ServiceError

SESSION_POLICY_MAX_CHARACTERS: Final = 2048  # Role session policies, passed inline
PACKED_MAX_BYTES: Final = 4096
"""What session policies and tags may take in a token of ours."""


async def narrowing(principal: Principal, params: Params, policies: ManagedPolicies) -> SessionNarrowing:
    """What the request asks for, and what the caller's own session hands on.

    Raises MalformedPolicyDocument, PackedPolicyTooLarge, ValidationError, AccessDenied.
    """
    text = params.get("Policy")
    if text is not None:
        if len(text) > SESSION_POLICY_MAX_CHARACTERS:
            raise ServiceError(
                "ValidationError",
                f"1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must have "
                f"length less than or equal to {SESSION_POLICY_MAX_CHARACTERS}",
            )
        check_identity_policy(text)
    arns = tuple(item["arn"] for item in params.get("PolicyArns") or ())
    for arn in arns:
        if await policies.document_of(arn) is None:
            raise malformed(f"Policy {arn} does not exist or is not attachable.")
    tags, transitive = _tags(principal, params)
    narrowed = SessionNarrowing(
        (text,) if text is not None else (), arns, tags, transitive, _source_identity(principal, params)
    )
    if packed_size_percent(narrowed) > 100:
        raise too_large()
    return narrowed


def packed_size_percent(narrowed: SessionNarrowing) -> int:
    """How much of what a token may hold is taken."""
    texts = [*narrowed.policies, *narrowed.policy_arns, *(part for tag in narrowed.tags for part in tag)]
    return -(-sum(len(text.encode()) for text in texts) * 100 // PACKED_MAX_BYTES)


def too_large() -> ServiceError:
    """400 PackedPolicyTooLarge."""
    return ServiceError(
        "PackedPolicyTooLarge", "Packed size of session policies and session tags exceeds the allowed limit."
    )


def _tags(principal: Principal, params: Params) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """All session tags and which of them are transitive."""
    own = principal.session
    handed_on = {key.lower() for key in own.transitive_tag_keys} if own is not None else set()
    inherited = [(key, value) for key, value in (own.tags if own is not None else ()) if key.lower() in handed_on]
    given = [(tag["Key"], tag["Value"]) for tag in params.get("Tags") or ()]
    if any(key.lower() in handed_on for key, _ in given):
        raise ServiceError(
            "ValidationError",
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key "
            "from the calling session.",
        )
    transitive = params.get("TransitiveTagKeys") or ()
    unknown = {key.lower() for key in transitive} - {key.lower() for key, _ in given}
    if unknown:
        raise ServiceError(
            "ValidationError", "The specified transitive tag key must be included in the requested tags."
        )
    tags = tagged({}, [*inherited, *given])
    return tuple(tags.items()), (*(own.transitive_tag_keys if own is not None else ()), *transitive)


def _source_identity(principal: Principal, params: Params) -> str | None:
    own = principal.session.source_identity if principal.session is not None else None
    given: str | None = params.get("SourceIdentity")
    if own is not None and given is not None and given != own:
        raise ServiceError("AccessDenied", "The source identity of a session cannot be changed.", status=403)
    return given if given is not None else own
