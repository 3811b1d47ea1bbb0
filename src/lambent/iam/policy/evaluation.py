"""The decision: identity-based policies, permissions boundary, session policies, resource-based policy. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html and
…_policy-eval-basics-single-account.html, …-cross-account.html, access_policies_boundaries.html. In short:

1. A matching Deny in any policy denies.
2. Within an account, identity-based policies or the resource-based policy must allow. What a resource-based policy
   grants to exactly the user or session that asks is not narrowed by boundary and session policies; what it grants to
   the role or to anybody is; what it grants to the account still needs an identity-based policy.
3. Between accounts both must allow.
4. A permissions boundary, and session policies, must allow too where there are any.

An account's root user is allowed whatever nothing denies. Where the resource's policy must allow in any case (role
trust policies), say `resource_must_allow`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from lambent.iam.policy.document import Policy, Statement
from lambent.iam.policy.subjects import Naming, Subject
from lambent.iam.policy.templates import Keys
from lambent.model.values import value


class PolicyKind(Enum):
    """Kinds of policies, in AWS's words for them in denials."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    TRUST = "role trust policy"


class Effect(Enum):
    """What is decided; the values are those of the policy simulator."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@value
class AccessRequest:
    """One thing somebody wants to do. `action` as in policies, e.g. lambda:InvokeFunction; `resource` an ARN or `*`.

    `resource_account` is None for what belongs to no account in particular (it is then the subject's own).
    """

    subject: Subject
    action: str
    resource: str
    keys: Keys = field(default_factory=dict)
    resource_account: str | None = None


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All policies that have a say. `boundary` and `session` are None where there is none (an empty one allows
    nothing)."""

    identity: Sequence[Policy] = ()
    boundary: Sequence[Policy] | None = None
    session: Sequence[Policy] | None = None
    resource: Sequence[Policy] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, and by what: `kind` of policy, and the statements that say so (none for an implicit deny)."""

    effect: Effect
    kind: PolicyKind
    statements: tuple[Statement, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.effect is Effect.ALLOWED


def decide(request: AccessRequest, policies: PolicySet, *, resource_must_allow: bool = False) -> Decision:
    """Whether somebody may."""
    granted = {
        kind: _matching(request, statements)
        for kind, statements in (
            (PolicyKind.IDENTITY, policies.identity),
            (PolicyKind.BOUNDARY, policies.boundary or ()),
            (PolicyKind.SESSION, policies.session or ()),
        )
    }
    on_resource = [
        (statement, naming)
        for statement in _matching(request, policies.resource)
        if (naming := statement.names(request.subject)) is not Naming.NOT
    ]
    resource_kind = PolicyKind.TRUST if resource_must_allow else PolicyKind.RESOURCE
    granted[resource_kind] = [statement for statement, _ in on_resource]
    for kind, statements in granted.items():
        denying = tuple(statement for statement in statements if not statement.allows)
        if denying:
            return Decision(Effect.EXPLICIT_DENY, kind, denying)
    return _granted(
        request,
        policies,
        identity=tuple(granted[PolicyKind.IDENTITY]),
        in_boundary=bool(granted[PolicyKind.BOUNDARY]),
        in_session=bool(granted[PolicyKind.SESSION]),
        on_resource=on_resource,
        resource_kind=resource_kind,
    )


def _granted(
    request: AccessRequest,
    policies: PolicySet,
    *,
    identity: tuple[Statement, ...],
    in_boundary: bool,
    in_session: bool,
    on_resource: Sequence[tuple[Statement, Naming]],
    resource_kind: PolicyKind,
) -> Decision:
    """Whether enough allows, now that nothing denies."""
    subject = request.subject
    by_resource = tuple(statement for statement, _ in on_resource)
    closest = max((naming for _, naming in on_resource), default=Naming.NOT)
    if subject.account is None:  # a service, or nobody: only the resource has a say
        return _allowed_by(resource_kind, by_resource)
    by_identity = bool(identity) or subject.is_root
    is_foreign = request.resource_account not in (None, subject.account)
    if (is_foreign or resource_kind is PolicyKind.TRUST) and not by_resource:
        return Decision(Effect.IMPLICIT_DENY, resource_kind if by_identity else PolicyKind.IDENTITY)
    alone = not is_foreign and closest not in (Naming.NOT, Naming.ACCOUNT)
    if alone and closest is Naming.EXACTLY:
        return Decision(Effect.ALLOWED, resource_kind, by_resource)
    if not by_identity and not alone:
        return Decision(Effect.IMPLICIT_DENY, PolicyKind.IDENTITY)
    if policies.boundary is not None and not in_boundary and not subject.is_root:
        return Decision(Effect.IMPLICIT_DENY, PolicyKind.BOUNDARY)
    if policies.session is not None and not in_session:
        return Decision(Effect.IMPLICIT_DENY, PolicyKind.SESSION)
    if by_identity:
        return Decision(Effect.ALLOWED, PolicyKind.IDENTITY, identity)
    return Decision(Effect.ALLOWED, resource_kind, by_resource)


def missing_keys(request: AccessRequest, policies: PolicySet) -> frozenset[str]:
    """The condition keys that statements about this request look at and the request does not have."""
    every = (*policies.identity, *(policies.boundary or ()), *(policies.session or ()), *policies.resource)
    action = request.action.lower()
    looked_at: frozenset[str] = frozenset().union(
        *(
            statement.context_keys
            for policy in every
            for statement in policy.statements
            if statement.is_about(action, request.resource, request.keys)
        )
    )
    return looked_at - request.keys.keys()


def _allowed_by(kind: PolicyKind, statements: tuple[Statement, ...]) -> Decision:
    return Decision(Effect.ALLOWED if statements else Effect.IMPLICIT_DENY, kind, statements)


def _matching(request: AccessRequest, policies: Iterable[Policy]) -> list[Statement]:
    """The statements that apply, principals apart."""
    action, resource, keys = request.action.lower(), request.resource, request.keys
    return [
        statement
        for policy in policies
        for statement in policy.statements
        if statement.is_about(action, resource, keys) and statement.holds(keys)
    ]
