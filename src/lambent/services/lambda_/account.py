"""GetAccountSettings."""

from __future__ import annotations

from lambent.aws.context import Operations, Params, RequestContext
from lambent.control_plane.functions import FunctionsControlPlane
from lambent.model import limits


class Account:
    """What an account may have in a region, and what it has."""

    def __init__(self, control_plane: FunctionsControlPlane) -> None:
        self._control_plane = control_plane

    def operations(self) -> Operations:
        return {"GetAccountSettings": self.get_account_settings}

    async def get_account_settings(self, ctx: RequestContext, _params: Params) -> Params:
        usage = await self._control_plane.usage.of(ctx.account, ctx.region)
        shares = await self._control_plane.concurrency.shares(ctx.account, ctx.region)
        quotas = self._control_plane.limits
        return {
            "AccountLimit": {
                "TotalCodeSize": quotas.code_storage_max_bytes,
                "CodeSizeUnzipped": quotas.unzipped_max_bytes,
                "CodeSizeZipped": limits.ZIPPED_DIRECT_MAX_BYTES,
                "ConcurrentExecutions": shares.limit,
                "UnreservedConcurrentExecutions": shares.unreserved,
            },
            "AccountUsage": {"TotalCodeSize": usage.total_code_size, "FunctionCount": usage.function_count},
        }
