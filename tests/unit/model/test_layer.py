"""Layer ARNs, and layer versions as documents."""

from __future__ import annotations

import json

import pytest

from lambent.model.ids import AccountId, Region
from lambent.model.layer import LayerId, LayerVersion, layer_version_key, parse_layer_arn

LAYER = LayerId(AccountId("000000000000"), Region("us-gov-east-1"), "my_layer-1")


def test_arns_name_layers_and_versions() -> None:
    assert LAYER.arn == "arn:aws:lambda:us-gov-east-1:000000000000:layer:my_layer-1"
    assert parse_layer_arn(LAYER.arn) == (LAYER, None)
    assert parse_layer_arn(LAYER.version_arn(12)) == (LAYER, 12)
    assert parse_layer_arn(LAYER.arn.replace(":aws:", ":aws-us-gov:")) == (LAYER, None)


@pytest.mark.parametrize(
    "arn", ["", "my_layer", "arn:aws:lambda:::awslayer:AmazonLinux1803", f"{LAYER.arn}:x", f"{LAYER.arn}:1\n"]
)
def test_other_arns_name_none(arn: str) -> None:
    assert parse_layer_arn(arn) is None


def test_documents_come_back_as_they_were() -> None:
    version = LayerVersion(
        LAYER,
        3,
        "2026-11-23T10:00:00.000+0000",
        "ab" * 32,
        "q6ur",
        100,
        250,
        "text",
        ("python3.12",),
        ("arm64",),
        "MIT",
    )
    assert LayerVersion.from_document(json.loads(json.dumps(version.to_document()))) == version


def test_keys_sort_as_versions_do() -> None:
    keys = [layer_version_key(LAYER, number) for number in (9, 10, 100)]
    assert keys == sorted(keys)
