"""Functions of container images: what may be given, and with what. Pure. Images are not run yet (see `states`).

https://docs.aws.amazon.com/lambda/latest/dg/images-create.html
"""

from __future__ import annotations

import re
from typing import Final

from lambent.control_plane.requests import Code, ContainerImage, CreateRequest
from lambent.model.errors import InvalidParameterValueException
from lambent.model.function import FunctionVersion
from lambent.packaging.code_store import StoredPackage

IMAGE: Final = "Image"

# https://github.com/distribution/reference: a registry, a repository, and a tag or a digest
_REFERENCE = re.compile(
    r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:(?P<digest>[0-9a-f]{64}))?",
    re.ASCII,
)


def check_image(request: CreateRequest) -> None:
    """A CreateFunction with an image. Raises InvalidParameterValueException."""
    settings = request.settings
    if settings.runtime or settings.handler or settings.layers:
        raise InvalidParameterValueException(
            "Please don't provide Runtime, Handler or Layers when creating a function with packageType Image."
        )
    check_image_uri(request.code)


def check_image_uri(code: Code) -> None:
    """Could it name an image? Raises InvalidParameterValueException."""
    if isinstance(code, ContainerImage) and _REFERENCE.fullmatch(code.uri) is None:
        raise InvalidParameterValueException(f"Source image {code.uri} is not valid. Provide a valid source image.")


def check_code_kind(version: FunctionVersion, code: Code) -> None:
    """A function stays of its package type. Raises InvalidParameterValueException."""
    is_image = isinstance(code, ContainerImage)
    if version.package_type == IMAGE and not is_image:
        raise InvalidParameterValueException("Please provide ImageUri when updating a function with packageType Image.")
    if version.package_type != IMAGE and is_image:
        raise InvalidParameterValueException(
            "Please don't provide ImageUri when updating a function with packageType Zip."
        )
    check_image_uri(code)


def image_package(image: ContainerImage) -> StoredPackage:
    """An image as a package: nothing of it is stored. CodeSha256 is its digest, where the URI says it."""
    match = _REFERENCE.fullmatch(image.uri)
    return StoredPackage(code_sha256=(match and match["digest"]) or "", digest="", code_size=0, unzipped_size=0)
