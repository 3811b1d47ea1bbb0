"""Where code comes from and where it is: the API's FunctionCode and LayerVersionContentInput ↔ the control plane's.

https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCode.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambent.aws.context import Params
from lambent.aws_client.s3_objects import S3Object
from lambent.control_plane.requests import Code, ContainerImage
from lambent.model.errors import InvalidParameterValueException

_ELSEWHERE = ("S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri")


def code_of(given: Mapping[str, Any], package_type: str | None = None) -> Code:
    """The one source a request gives. `package_type`: of the function to be made, where that is known from the
    request alone. Raises InvalidParameterValueException."""
    image = given.get("ImageUri")
    if package_type == "Image" and not image:
        raise InvalidParameterValueException("Please provide ImageUri when creating a function with packageType Image.")
    if package_type == "Zip" and image:
        raise InvalidParameterValueException(
            "Please don't provide ImageUri when creating a function with packageType Zip."
        )
    if image:
        if any(given.get(name) for name in ("ZipFile", "S3Bucket", "S3Key", "S3ObjectVersion")):
            raise InvalidParameterValueException(
                "Please do not provide other FunctionCode parameters when providing an ImageUri."
            )
        return ContainerImage(image)
    return archive_of(given)


def archive_of(given: Mapping[str, Any]) -> bytes | S3Object:
    """The archive, or the object that is it. Raises InvalidParameterValueException."""
    zip_file = given.get("ZipFile")
    if zip_file is not None:
        if any(given.get(name) for name in _ELSEWHERE):
            raise InvalidParameterValueException(
                "Please do not provide other FunctionCode parameters when providing a ZipFile."
            )
        return bytes(zip_file)
    bucket, key = given.get("S3Bucket"), given.get("S3Key")
    if not bucket or not key:
        raise InvalidParameterValueException("Please provide a source for function code.")
    return S3Object(bucket, key, given.get("S3ObjectVersion"))


def image_location(uri: str) -> Params:
    """FunctionCodeLocation of an image. Its tag is not looked up: ResolvedImageUri only if the URI has a digest."""
    location: Params = {"RepositoryType": "ECR", "ImageUri": uri}
    if "@sha256:" in uri:
        location["ResolvedImageUri"] = uri
    return location
