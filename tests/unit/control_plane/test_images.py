"""What names a container image, and what does not."""

from __future__ import annotations

import pytest

from lambent.control_plane.images import check_image_uri, image_package
from lambent.control_plane.requests import ContainerImage
from lambent.model.errors import InvalidParameterValueException

DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "uri",
    [
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:latest",
        "000000000000.dkr.ecr.us-east-1.amazonaws.com/team/app_one/web-2:v1.2_3",
        f"000000000000.dkr.ecr.us-east-1.amazonaws.com/app@sha256:{DIGEST}",
        "public.ecr.aws/lambda/python:3.12",
        "localhost:5000/app",
    ],
)
def test_images(uri: str) -> None:
    check_image_uri(ContainerImage(uri))


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "app",
        "app:1",
        "host/App:1",
        "host/app:",
        "host/app@sha256:12",
        "host//app",
        "host/app:1 ",
        "http://host/app",
    ],
)
def test_no_images(uri: str) -> None:
    with pytest.raises(InvalidParameterValueException) as refused:
        check_image_uri(ContainerImage(uri))
    assert refused.value.message == f"Source image {uri} is not valid. Provide a valid source image."


def test_the_digest_is_the_code_sha256_where_it_is_known() -> None:
    assert image_package(ContainerImage(f"host/app:1@sha256:{DIGEST}")).code_sha256 == DIGEST
    assert image_package(ContainerImage("host/app:1")).code_sha256 == ""
