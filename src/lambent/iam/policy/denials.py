"""Denials in AWS's words. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

from typing import Final

from lambent.iam.policy.evaluation import AccessRequest, Decision, Effect, PolicyKind

_EXPLICIT: Final = {
    PolicyKind.IDENTITY: "an identity-based policy",
    PolicyKind.RESOURCE: "a resource-based policy",
    PolicyKind.BOUNDARY: "a permissions boundary",
    PolicyKind.SESSION: "a session policy",
    PolicyKind.TRUST: "the role trust policy",
}


def denial(request: AccessRequest, decision: Decision) -> str:
    """The message of an access denied error."""
    asked = (
        f"User: {request.subject.arn} is not authorized to perform: {request.action} on resource: {request.resource}"
    )
    return f"{asked} {reason(request.action, decision)}"


def reason(action: str, decision: Decision) -> str:
    """Why: the part after the resource."""
    if decision.effect is Effect.EXPLICIT_DENY:
        return f"with an explicit deny in {_EXPLICIT[decision.kind]}"
    return f"because no {decision.kind.value} allows the {action} action"
