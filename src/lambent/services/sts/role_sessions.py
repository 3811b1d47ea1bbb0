"""Sessions of roles, once it is decided who may have one: minted, and as the operations answer them."""

from __future__ import annotations

from lambent.aws.context import Params
from lambent.iam.roles import Role
from lambent.iam.sessions import SessionIssuer, SessionNarrowing
from lambent.services.sts.session_parameters import packed_size_percent, too_large
from lambent.services.sts.shapes import credentials_shape


def role_session(
    sessions: SessionIssuer, role: Role, name: str, duration_s: int, source: str, narrowed: SessionNarrowing
) -> Params:
    """What all operations that assume a role answer. `source`: the ARN of whoever assumes it.

    Raises PackedPolicyTooLarge.
    """
    try:
        credentials, principal = sessions.assume_role(
            role.arn, name, duration_s, role_id=role.role_id, source=source, narrowed=narrowed
        )
    except ValueError as error:
        raise too_large() from error
    answer: Params = {
        "Credentials": credentials_shape(credentials),
        "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
    }
    if narrowed.source_identity is not None:
        answer["SourceIdentity"] = narrowed.source_identity
    percent = packed_size_percent(narrowed)
    return answer | {"PackedPolicySize": percent} if percent else answer
