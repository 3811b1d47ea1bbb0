"""A layer version, as stored, and what a function keeps of those it uses.

Names follow the API's GetLayerVersion (https://docs.aws.amazon.com/lambda/latest/api/API_GetLayerVersion.html). The
control plane writes these; functions carry what they need of their layers, so that a layer version that is deleted
goes on working where it is in use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lambent.model.ids import AccountId, Region

_LAYER = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):layer:(?P<name>[a-zA-Z0-9-_]+)"
    r"(?::(?P<version>\d+))?"
)


@dataclass(frozen=True, slots=True)
class LayerId:
    """A layer of one account in one region."""

    account: AccountId
    region: Region
    name: str

    @property
    def arn(self) -> str:
        """The layer's ARN, without a version."""
        return f"arn:aws:lambda:{self.region}:{self.account}:layer:{self.name}"

    @property
    def key(self) -> str:
        """The store key: account/region/name."""
        return f"{self.account}/{self.region}/{self.name}"

    def version_arn(self, version: int) -> str:
        """The ARN of one of its versions."""
        return f"{self.arn}:{version}"


@dataclass(frozen=True, slots=True)
class LayerVersion:
    """One version of a layer. `digest`, `code_sha256` and the sizes are those of its archive in the code store."""

    layer: LayerId
    version: int
    created_date: str  # 2026-11-23T10:00:00.000+0000
    digest: str
    code_sha256: str
    code_size: int  # bytes of the archive
    unzipped_size: int  # bytes
    description: str = ""
    compatible_runtimes: tuple[str, ...] = ()
    compatible_architectures: tuple[str, ...] = ()
    license_info: str | None = None

    @property
    def arn(self) -> str:
        """The layer version's ARN."""
        return self.layer.version_arn(self.version)

    def to_document(self) -> dict[str, Any]:
        """A JSON object for the store."""
        return asdict(self)

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> LayerVersion:
        """The inverse of `to_document`."""
        layer = document["layer"]
        return LayerVersion(
            **{
                **document,
                "layer": LayerId(AccountId(layer["account"]), Region(layer["region"]), layer["name"]),
                "compatible_runtimes": tuple(document["compatible_runtimes"]),
                "compatible_architectures": tuple(document["compatible_architectures"]),
            }
        )


@dataclass(frozen=True, slots=True)
class AttachedLayer:
    """A layer version as a function uses it; it stays what it is when the layer version is deleted."""

    arn: str
    digest: str
    code_size: int
    unzipped_size: int


def parse_layer_arn(arn: str) -> tuple[LayerId, int | None] | None:
    """The layer and the version that an ARN names (None for a layer's own ARN); None for anything else."""
    match = _LAYER.fullmatch(arn)
    if match is None:
        return None
    layer = LayerId(AccountId(match["account"]), Region(match["region"]), match["name"])
    return layer, int(match["version"]) if match["version"] else None


def layer_version_key(layer: LayerId, version: int) -> str:
    """The store key of a layer version: numbers padded, so that keys sort as versions do."""
    return f"{layer_versions_prefix(layer)}{version:010d}"


def layer_versions_prefix(layer: LayerId) -> str:
    """The prefix of the store keys of all versions of a layer."""
    return f"{layer.key}/"
