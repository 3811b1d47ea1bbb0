"""AddPermission, RemovePermission, GetPolicy; PutResourcePolicy, GetResourcePolicy, DeleteResourcePolicy."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.control_plane.permissions import RevisedPolicy
from lambent.control_plane.policies import Permission
from lambent.model.arn import FunctionReference
from lambent.model.errors import InvalidParameterValueException
from lambent.model.resource_policy import compact_json
from lambent.services.lambda_.references import reference


class Permissions:
    """The operations on resource-based policies of functions, versions and aliases."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._permissions = control_plane.permissions

    def operations(self) -> Operations:
        return {
            "AddPermission": self.add_permission,
            "RemovePermission": self.remove_permission,
            "GetPolicy": self.get_policy,
            "PutResourcePolicy": self.put_resource_policy,
            "GetResourcePolicy": self.get_resource_policy,
            "DeleteResourcePolicy": self.delete_resource_policy,
        }

    async def add_permission(self, ctx: RequestContext, params: Params) -> Params:
        asked = reference(ctx, params)
        permission = Permission(
            resource=asked.arn,
            statement_id=params["StatementId"],
            action=params["Action"],
            principal=params["Principal"],
            organization_id=params.get("PrincipalOrgID"),
            source_arn=params.get("SourceArn"),
            source_account=params.get("SourceAccount"),
            event_source_token=params.get("EventSourceToken"),
            function_url_auth_type=params.get("FunctionUrlAuthType"),
            invoked_via_function_url=params.get("InvokedViaFunctionUrl"),
        )
        statement = await self._permissions.add(asked, permission, params.get("RevisionId"))
        return {"Statement": compact_json(statement)}

    async def remove_permission(self, ctx: RequestContext, params: Params) -> Params:
        await self._permissions.remove(reference(ctx, params), params["StatementId"], params.get("RevisionId"))
        return {}

    async def get_policy(self, ctx: RequestContext, params: Params) -> Params:
        return _answer(await self._permissions.get(reference(ctx, params)))

    async def put_resource_policy(self, ctx: RequestContext, params: Params) -> Params:
        resource = _resource(ctx, params)
        return _answer(await self._permissions.put(resource, params["Policy"], params.get("RevisionId")))

    async def get_resource_policy(self, ctx: RequestContext, params: Params) -> Params:
        return _answer(await self._permissions.get(_resource(ctx, params)))

    async def delete_resource_policy(self, ctx: RequestContext, params: Params) -> Params:
        await self._permissions.delete(_resource(ctx, params), params.get("RevisionId"))
        return {}


def _resource(ctx: RequestContext, params: Params) -> FunctionReference:
    """What ResourceArn names; the model has checked that it is the ARN of a function or a runtime."""
    arn = params["ResourceArn"]
    if ":runtime/" in arn:
        raise InvalidParameterValueException(f"Policies of {arn} are not offered by Lambent.")
    return reference(ctx, {"FunctionName": arn})


def _answer(found: RevisedPolicy) -> Params:
    return {"Policy": found.policy.text, "RevisionId": found.revision_id}
