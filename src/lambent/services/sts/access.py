"""What each STS operation needs to be allowed: action, resource, condition keys.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecuritytokenservice.html. GetCallerIdentity
and GetSessionToken need nothing: no policy can take them away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lambent.aws.authorisation import AccessRules
from lambent.aws.context import Params, RequestContext
from lambent.iam.enforcement import Access
from lambent.iam.sessions import parse_role_arn
from lambent.store.api import ROLES


def assume_role_keys(params: Params) -> dict[str, tuple[str, ...]]:
    """The condition keys of an AssumeRole request."""
    keys: dict[str, tuple[str, ...]] = {"sts:rolesessionname": (params["RoleSessionName"],)}
    if "ExternalId" in params:
        keys["sts:externalid"] = (params["ExternalId"],)
    if "SourceIdentity" in params:
        keys["sts:sourceidentity"] = (params["SourceIdentity"],)
    tags = params.get("Tags")
    if tags:
        keys |= {f"aws:requesttag/{tag['Key'].lower()}": (tag["Value"],) for tag in tags}
        keys["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
    if params.get("TransitiveTagKeys"):
        keys["sts:transitivetagkeys"] = tuple(params["TransitiveTagKeys"])
    return keys


def _assume_role(_: RequestContext, params: Params) -> Sequence[Access]:
    arn = params["RoleArn"]
    role = parse_role_arn(arn)
    if role is None:
        return ()  # the operation will say so
    actions = ["sts:AssumeRole"]
    actions += ["sts:TagSession"] if params.get("Tags") else []
    actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in params else []
    keys = assume_role_keys(params)
    return [Access(action, arn, role.account, keys, resource_policy=(ROLES, arn)) for action in actions]


def _nothing(_: RequestContext, __: Params) -> Sequence[Access]:
    return ()


RULES: Final[AccessRules] = {
    "AssumeRole": _assume_role,
    "GetCallerIdentity": _nothing,
    "GetSessionToken": _nothing,
}
"""Operation → what it needs; others need the action of their name on every resource."""
