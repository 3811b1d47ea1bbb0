"""The policy simulator: SimulateCustomPolicy, SimulatePrincipalPolicy, and which context keys policies look at.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html. One result for each action on each
resource. Of a simulated user or role its own condition keys are known; ContextEntries add to them and win.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lambent.aws.context import Operations, Params, RequestContext
from lambent.iam.entities import IamEntities
from lambent.iam.policy.document import Policy, PolicyError, parse_policy
from lambent.iam.policy.evaluation import AccessRequest, Decision, PolicySet, decide, missing_keys
from lambent.iam.policy.subjects import Subject, subject_of
from lambent.iam.policy_holders import PolicyHolder, no_such_entity
from lambent.iam.policy_sources import PolicySource, caller_keys
from lambent.iam.principal import Principal
from lambent.iam.roles import Role
from lambent.iam.users import User
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId
from lambent.services.iam.paging import page

_ENTITY: Final = re.compile(
    r"arn:aws[a-z-]*:iam::(?P<account>[0-9]{12}):(?P<kind>user|group|role)/(?:.*/)?(?P<name>[^/]+)"
)


def operations(entities: IamEntities, callers: PolicySource) -> Operations:
    """The operations of the simulator."""
    resource = _Simulation(entities, callers)
    return {
        "SimulateCustomPolicy": resource.simulate_custom_policy,
        "SimulatePrincipalPolicy": resource.simulate_principal_policy,
        "GetContextKeysForCustomPolicy": resource.get_context_keys_for_custom_policy,
        "GetContextKeysForPrincipalPolicy": resource.get_context_keys_for_principal_policy,
    }


class _Simulation:
    def __init__(self, entities: IamEntities, callers: PolicySource) -> None:
        self._entities = entities
        self._callers = callers

    async def simulate_custom_policy(self, ctx: RequestContext, params: Params) -> Params:
        policies = PolicySet(_inputs(params, "PolicyInputList"), _boundary(params), None, _on_resource(params))
        caller = _caller(params.get("CallerArn"), ctx.account)
        return _simulated(params, policies, subject_of(caller), caller_keys(caller, None), {})

    async def simulate_principal_policy(self, ctx: RequestContext, params: Params) -> Params:
        holder = await self._holder(ctx, params["PolicySourceArn"])
        own = await self._callers.identity_policies(holder)
        boundary = _boundary(params)
        if boundary is None and holder.permissions_boundary is not None:
            boundary = await self._callers.managed([holder.permissions_boundary])
        policies = PolicySet([*own, *_inputs(params, "PolicyInputList")], boundary, None, _on_resource(params))
        caller = _caller(params.get("CallerArn") or params["PolicySourceArn"], ctx.account)
        if isinstance(holder, User):
            caller = replace(caller, user_id=holder.user_id)
        types = {policy.name: _source_type(policy.name, holder) for policy in own}
        return _simulated(params, policies, subject_of(caller), caller_keys(caller, holder), types)

    async def get_context_keys_for_custom_policy(self, _: RequestContext, params: Params) -> Params:
        return _context_keys(_inputs(params, "PolicyInputList"))

    async def get_context_keys_for_principal_policy(self, ctx: RequestContext, params: Params) -> Params:
        holder = await self._holder(ctx, params["PolicySourceArn"])
        own = await self._callers.identity_policies(holder)
        return _context_keys([*own, *_inputs(params, "PolicyInputList")])

    async def _holder(self, ctx: RequestContext, arn: str) -> PolicyHolder:
        match = _ENTITY.fullmatch(arn)
        if match is None or match["account"] != ctx.account:
            text = f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
            raise ServiceError("InvalidInput", text)
        entities = self._entities
        holder: PolicyHolder | None
        match match["kind"]:
            case "user":
                holder = await entities.users.find_named(ctx.account, match["name"])
            case "group":
                holder = await entities.groups.find_named(ctx.account, match["name"])
            case _:
                holder = await entities.roles.find_named(ctx.account, match["name"])
        if holder is None:
            raise no_such_entity(f"The {match['kind']} with name {match['name']} cannot be found.")
        return holder


def _simulated(
    params: Params,
    policies: PolicySet,
    subject: Subject,
    keys: Mapping[str, tuple[str, ...]],
    types: Mapping[str, str],
) -> Params:
    refused = [name for name in ("OrderedOrganizationPolicyInputList", "PolicyExclusionList") if params.get(name)]
    if refused:
        raise ServiceError("NotImplemented", f"Lambent does not implement {', '.join(refused)}.", status=501)
    given = {
        entry["ContextKeyName"].lower(): tuple(entry.get("ContextKeyValues", []))
        for entry in params.get("ContextEntries") or []
    }
    owner = re.fullmatch(r"arn:aws[a-z-]*:iam::([0-9]{12}):.*", params.get("ResourceOwner") or "")
    pairs = [(action, resource) for action in params["ActionNames"] for resource in params.get("ResourceArns") or ["*"]]
    results = []
    for number, (action, resource) in enumerate(pairs):
        request = AccessRequest(subject, action, resource, {**keys, **given}, owner[1] if owner else None)
        result = _result(request, policies, decide(request, policies), types)
        results.append((f"{number:06d}", result))
    return page("EvaluationResults", results, params, key=lambda item: item[0], shape=lambda item: item[1])


def _result(request: AccessRequest, policies: PolicySet, decision: Decision, types: Mapping[str, str]) -> Params:
    result: dict[str, Any] = {
        "EvalActionName": request.action,
        "EvalResourceName": request.resource,
        "EvalDecision": decision.effect.value,
        "MatchedStatements": [
            {"SourcePolicyId": statement.policy, "SourcePolicyType": types.get(statement.policy, "none")}
            for statement in decision.statements
        ],
        "MissingContextValues": sorted(missing_keys(request, policies)),
    }
    if policies.boundary is not None:
        in_boundary = decide(request, PolicySet(policies.boundary)).allowed
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": in_boundary}
    return result


def _context_keys(policies: Sequence[Policy]) -> Params:
    return {"ContextKeyNames": sorted(frozenset().union(*(policy.context_keys for policy in policies)))}


def _inputs(params: Params, member: str) -> list[Policy]:
    return [_parsed(text, f"{member}.{number}") for number, text in enumerate(params.get(member) or [], 1)]


def _boundary(params: Params) -> list[Policy] | None:
    member = "PermissionsBoundaryPolicyInputList"
    return _inputs(params, member) if params.get(member) else None


def _on_resource(params: Params) -> list[Policy]:
    return [_parsed(params["ResourcePolicy"], "ResourcePolicy")] if params.get("ResourcePolicy") else []


def _parsed(text: str, name: str) -> Policy:
    try:
        return parse_policy(text, name)
    except PolicyError as error:
        raise ServiceError("InvalidInput", f"{name}: Syntax errors in policy ({error}).") from error


def _caller(arn: str | None, account: AccountId) -> Principal:
    """Who is simulated; without an ARN a user nobody names."""
    return Principal(account, arn or f"arn:aws:iam::{account}:user/simulated", "")


def _source_type(policy: str, holder: PolicyHolder) -> str:
    if policy.startswith("arn:"):
        return "aws-managed" if ":iam::aws:" in policy else "user-managed"
    if policy in holder.inline_policies:
        return "user" if isinstance(holder, User) else "role" if isinstance(holder, Role) else "group"
    return "group"
