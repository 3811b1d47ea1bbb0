"""Taking code in, for functions and layers: from the request itself or from S3, within the account's code storage."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lambent.aws_client.s3_objects import GetObject, ObjectTooLargeError, S3Error, S3Object, S3UnreachableError
from lambent.control_plane.usage import Usage
from lambent.model.errors import (
    CodeStorageExceededException,
    InvalidParameterValueException,
    ServiceError,
    access_denied,
)
from lambent.model.ids import AccountId, Region
from lambent.model.limits import AWS_LIMITS, Limits
from lambent.packaging.code_store import CodeStorageFullError, CodeStore, StoredPackage

logger = logging.getLogger(__name__)

Archive = bytes | S3Object
"""The archive itself, or where it is."""


class Packages:
    """`get_object` is None where no S3 is in force. `unused` is called when what was just stored is not needed."""

    def __init__(
        self,
        code_store: CodeStore,
        usage: Usage,
        get_object: GetObject | None,
        unused: Callable[[], None],
        limits: Limits = AWS_LIMITS,
    ) -> None:
        self._limits = limits
        self._code_store = code_store
        self._usage = usage
        self._get_object = get_object
        self._unused = unused

    async def add(self, account: AccountId, region: Region, archive: Archive) -> StoredPackage:
        """Store an archive. Raises InvalidParameterValueException, AccessDeniedException (of S3),
        CodeStorageExceededException, and what the code store says about the archive."""
        try:
            if isinstance(archive, S3Object):
                content = await self._fetch(archive, region)
                package = await self._code_store.add_zip(content, max_bytes=self._limits.unzipped_max_bytes)
            else:
                package = await self._code_store.add_zip(archive)
        except CodeStorageFullError as error:
            logger.exception("There is no room for code")
            raise CodeStorageExceededException("The disk that Lambent keeps code on is full.") from error
        usage = await self._usage.of(account, region)
        if usage.total_code_size + package.unzipped_size > self._limits.code_storage_max_bytes:
            self._unused()
            raise CodeStorageExceededException("Code storage limit exceeded.")
        return package

    async def _fetch(self, wanted: S3Object, region: Region) -> bytes:
        if self._get_object is None:
            raise InvalidParameterValueException(
                f"There is no S3 to get s3://{wanted.bucket}/{wanted.key} from. Start Lambent with --upstream s3=URL "
                "(an S3 endpoint), or give the deployment package as ZipFile."
            )
        try:
            return await self._get_object(wanted, region, self._limits.unzipped_max_bytes)
        except S3Error as error:
            raise _refusal(wanted, error) from error
        except ObjectTooLargeError as error:  # what unzips to less is not larger zipped
            raise InvalidParameterValueException(
                f"Unzipped size must be smaller than {self._limits.unzipped_max_bytes} bytes"
            ) from error
        except S3UnreachableError as error:
            raise InvalidParameterValueException(f"Error occurred while GetObject. {error}") from error


def _refusal(wanted: S3Object, error: S3Error) -> ServiceError:
    words = f"S3 Error Code: {error.code}. S3 Error Message: {error.message}"
    if error.code == "AccessDenied":
        return access_denied(
            "Your access has been denied by S3, please make sure your request credentials have permission to "
            f"GetObject for {wanted.bucket}/{wanted.key}. {words}"
        )
    return InvalidParameterValueException(f"Error occurred while GetObject. {words}")
