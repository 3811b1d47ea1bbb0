"""May this caller do that? Gathers policies, has them evaluated, keeps the audit log. No wire, no services.

`Enforcer.check` decides at once when all policies are at hand, which they are for whoever called before; else it
returns what is to be awaited. The decision itself is `lambent.iam.policy.evaluation`'s. One that permits a frequent
access, and in which no condition has a part, is remembered with the policies it was made of: a change of the caller's
policies makes a new `CallerPolicies`, one of the resource's a new sequence, and neither knows it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from lambent.iam.audit import AuditLog
from lambent.iam.policy.denials import denial, reason
from lambent.iam.policy.document import Policy
from lambent.iam.policy.evaluation import AccessRequest, Decision, Effect, PolicySet, decide
from lambent.iam.policy_sources import CallerPolicies, PolicySource, ResourcePolicies
from lambent.iam.principal import Principal
from lambent.model.values import value
from lambent.store.api import ROLES

_ALLOWED_MAX: Final = 1024
_NO_KEYS: Final[Mapping[str, tuple[str, ...]]] = {}


@value
class Access:
    """One thing that must be allowed.

    `action` as in policies; `resource` an ARN or `*`, `aliases` further ARNs policies may call it by; `account` the
    resource's, if it is known to be somebody's. `keys`: condition keys of this request, names in lower case.
    `resource_policy`: table and key under which the resource keeps a policy; with the table of roles it is a role's
    trust policy, which must allow. `is_data_event`: too frequent for the audit log when allowed.
    """

    action: str
    resource: str = "*"
    account: str | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    resource_policy: tuple[str, str] | None = None
    is_data_event: bool = False


@value
class Occasion:
    """The request in whose course access is asked for. `keys` makes the request's own condition keys when needed."""

    principal: Principal
    request_id: str
    region: str
    keys: Callable[[], Mapping[str, tuple[str, ...]]]


class AccessDeniedError(Exception):
    """Somebody may not. `message` is in AWS's words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Enforcer:
    """Judges by the policies of callers and resources."""

    def __init__(
        self,
        callers: PolicySource,
        resources: ResourcePolicies,
        audit: AuditLog | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._callers = callers
        self._resources = resources
        self._audit = audit
        self._now = now

    def check(self, occasion: Occasion, accesses: Sequence[Access]) -> Callable[[], Awaitable[None]] | None:
        """Returns None when all is allowed, or what to call and await to know. Raises AccessDeniedError."""
        caller = self._callers.cached(occasion.principal)
        if caller is None:
            return lambda: self._load_and_check(occasion, accesses)
        policies: list[Sequence[Policy]] = []
        for access in accesses:
            found = self._resources.cached(*access.resource_policy) if access.resource_policy is not None else ()
            if found is None:
                return lambda: self._load_and_check(occasion, accesses)
            policies.append(found)
        self._judge(occasion, accesses, caller, policies)
        return None

    async def _load_and_check(self, occasion: Occasion, accesses: Sequence[Access]) -> None:
        caller = self._callers.cached(occasion.principal) or await self._callers.load(occasion.principal)
        policies = [
            await self._resources.load(*access.resource_policy) if access.resource_policy is not None else ()
            for access in accesses
        ]
        self._judge(occasion, accesses, caller, policies)

    def _judge(
        self,
        occasion: Occasion,
        accesses: Sequence[Access],
        caller: CallerPolicies,
        resource_policies: Sequence[Sequence[Policy]],
    ) -> None:
        for access, on_resource in zip(accesses, resource_policies, strict=True):
            keys = _NO_KEYS
            needs_keys = caller.needs_keys or any(policy.context_keys for policy in on_resource)
            is_repeatable = access.is_data_event and not needs_keys
            identity = (access.action, access.resource, access.account, access.aliases, access.resource_policy)
            if is_repeatable and caller.allowed.get(identity) is on_resource:
                continue  # the same caller, the same policies: the same decision
            if needs_keys:
                own_account = {"aws:resourceaccount": (access.account,)} if access.account is not None else {}
                keys = {**occasion.keys(), **caller.keys, **own_account, **access.keys}
            request, decision = _decided(access, caller, on_resource, keys)
            if not decision.allowed or not access.is_data_event:
                self._record(occasion, request, decision)
            if not decision.allowed:
                raise AccessDeniedError(denial(request, decision))
            if is_repeatable:
                if len(caller.allowed) >= _ALLOWED_MAX:
                    caller.allowed.clear()
                caller.allowed[identity] = on_resource

    def _record(self, occasion: Occasion, request: AccessRequest, decision: Decision) -> None:
        if self._audit is None:
            return
        entry: dict[str, Any] = {
            "time": round(self._now(), 3),
            "requestId": occasion.request_id,
            "principal": occasion.principal.arn,
            "accessKeyId": occasion.principal.access_key_id,
            "region": occasion.region,
            "action": request.action,
            "resource": request.resource,
            "decision": decision.effect.value,
            "policyType": decision.kind.value,
        }
        if not decision.allowed:
            entry["reason"] = reason(request.action, decision)
        if decision.statements:
            entry["statements"] = [
                {"policy": statement.policy, "sid": statement.sid, "number": statement.number}
                for statement in decision.statements
            ]
        self._audit.record(entry)


def _decided(
    access: Access, caller: CallerPolicies, on_resource: Sequence[Policy], keys: Mapping[str, tuple[str, ...]]
) -> tuple[AccessRequest, Decision]:
    """The decision under whichever name the resource is allowed by; a denial under any of them counts."""
    policies = PolicySet(caller.identity, caller.boundary, caller.session, on_resource)
    is_trust = access.resource_policy is not None and access.resource_policy[0] == ROLES
    first: tuple[AccessRequest, Decision] | None = None
    best: tuple[AccessRequest, Decision] | None = None
    for resource in (access.resource, *access.aliases):
        request = AccessRequest(caller.subject, access.action, resource, keys, access.account)
        decision = decide(request, policies, resource_must_allow=is_trust)
        if decision.effect is Effect.EXPLICIT_DENY:
            return request, decision
        first = first or (request, decision)
        if decision.allowed and best is None:
            best = request, decision
    if best is not None:
        return best
    if first is None:
        raise ValueError("an access has a resource")
    return first
