"""Configuration blocks that are stored and answered: from a request to what is answered.

What may be given in them is checked by the service model and by `control_plane.blocks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.aws.context import Params


def stored_blocks(params: Params) -> dict[str, Any]:
    """The blocks a request gives, under their names in FunctionConfiguration; one that clears itself is None."""
    blocks: dict[str, Any] = {}
    if "DeadLetterConfig" in params:
        target = params["DeadLetterConfig"].get("TargetArn")
        blocks["DeadLetterConfig"] = {"TargetArn": target} if target else None
    if params.get("VpcConfig"):
        blocks["VpcConfig"] = _vpc(params["VpcConfig"])
    if "FileSystemConfigs" in params:
        blocks["FileSystemConfigs"] = params["FileSystemConfigs"] or None
    if "ImageConfig" in params:
        blocks["ImageConfigResponse"] = {"ImageConfig": params["ImageConfig"]} if params["ImageConfig"] else None
    if params.get("SnapStart", {}).get("ApplyOn"):
        asked = params["SnapStart"]["ApplyOn"] == "PublishedVersions"
        # Off is the truth: every environment initialises by itself
        blocks["SnapStart"] = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"} if asked else None
    return blocks


def _vpc(config: Mapping[str, Any]) -> dict[str, Any]:
    """VpcId would have to be asked of EC2."""
    return {
        "SubnetIds": list(config.get("SubnetIds", ())),
        "SecurityGroupIds": list(config.get("SecurityGroupIds", ())),
        "Ipv6AllowedForDualStack": config.get("Ipv6AllowedForDualStack", False),
    }
