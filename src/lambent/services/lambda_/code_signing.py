"""Create-, Get-, Update-, List- and DeleteCodeSigningConfig; Put-, Get- and DeleteFunctionCodeSigningConfig;
ListFunctionsByCodeSigningConfig."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.code_signing import CodeSigningConfig
from lambent.control_plane.configuration import timestamp
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model.errors import access_denied
from lambent.services.lambda_.paging import continued, page_size, position
from lambent.services.lambda_.references import unqualified

_LIST = "ListCodeSigningConfigs"
_LIST_FUNCTIONS = "ListFunctionsByCodeSigningConfig"


class CodeSigning:
    """The operations on code signing configurations."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._queries = control_plane.queries
        self._signing = control_plane.code_signing

    def operations(self) -> Operations:
        return {
            "CreateCodeSigningConfig": self.create_code_signing_config,
            "GetCodeSigningConfig": self.get_code_signing_config,
            "UpdateCodeSigningConfig": self.update_code_signing_config,
            "DeleteCodeSigningConfig": self.delete_code_signing_config,
            _LIST: self.list_code_signing_configs,
            "PutFunctionCodeSigningConfig": self.put_function_code_signing_config,
            "GetFunctionCodeSigningConfig": self.get_function_code_signing_config,
            "DeleteFunctionCodeSigningConfig": self.delete_function_code_signing_config,
            _LIST_FUNCTIONS: self.list_functions_by_code_signing_config,
        }

    async def create_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        created = await self._signing.create(
            ctx.account,
            ctx.region,
            params["AllowedPublishers"]["SigningProfileVersionArns"],
            _policy(params),
            params.get("Description"),
            params.get("Tags", {}),
        )
        return {"CodeSigningConfig": _config(created)}

    async def get_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        return {"CodeSigningConfig": _config(await self._signing.get(own_arn(ctx, params["CodeSigningConfigArn"])))}

    async def update_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        publishers = params.get("AllowedPublishers")
        changed = await self._signing.update(
            own_arn(ctx, params["CodeSigningConfigArn"]),
            None if publishers is None else publishers["SigningProfileVersionArns"],
            _policy(params),
            params.get("Description"),
        )
        return {"CodeSigningConfig": _config(changed)}

    async def delete_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        await self._signing.delete(own_arn(ctx, params["CodeSigningConfigArn"]))
        return {}

    async def list_code_signing_configs(self, ctx: RequestContext, params: Params) -> Params:
        page = await self._signing.list_configs(ctx.account, ctx.region, position(_LIST, params), page_size(params))
        return continued({"CodeSigningConfigs": [_config(one) for one in page.configs]}, _LIST, page.following)

    async def put_function_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        function, arn = unqualified(ctx, params), params["CodeSigningConfigArn"]
        await self._signing.attach(function, arn)
        return {"CodeSigningConfigArn": arn, "FunctionName": function.name}

    async def get_function_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        function = unqualified(ctx, params)
        await self._queries.function(function)
        arn = await self._signing.attached(function)
        return {} if arn is None else {"CodeSigningConfigArn": arn, "FunctionName": function.name}

    async def delete_function_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        await self._signing.detach(unqualified(ctx, params))
        return {}

    async def list_functions_by_code_signing_config(self, ctx: RequestContext, params: Params) -> Params:
        arn = own_arn(ctx, params["CodeSigningConfigArn"])
        page = await self._signing.functions(arn, position(_LIST_FUNCTIONS, params), page_size(params))
        answer: Params = {"FunctionArns": [function.arn for function in page.functions]}
        return continued(answer, _LIST_FUNCTIONS, page.following)


def own_arn(ctx: RequestContext, arn: str) -> str:
    """An ARN, if its owner is the caller's account. Raises AccessDeniedException."""
    if arn.split(":")[4] != ctx.account:
        raise access_denied(
            f"User: {ctx.principal.arn} is not authorized to perform: lambda:{ctx.operation} on resource: {arn}"
        )
    return arn


def _policy(params: Params) -> str | None:
    policy: str | None = params.get("CodeSigningPolicies", {}).get("UntrustedArtifactOnDeployment")
    return policy


def _config(config: CodeSigningConfig) -> Params:
    answer: Params = {
        "CodeSigningConfigId": config.config_id,
        "CodeSigningConfigArn": config.arn,
        "AllowedPublishers": {"SigningProfileVersionArns": list(config.publishers)},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.policy},
        "LastModified": timestamp(config.modified),
    }
    if config.description:
        answer["Description"] = config.description
    return answer
