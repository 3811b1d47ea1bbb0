"""What a queue is called: by itself, in URLs and ARNs, in the store and in the engine. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from lambent.aws.context import Params, RequestContext
from lambent.model.ids import AccountId, Region
from lambent.services.sqs.errors import invalid_address, invalid_parameter, missing_parameter

FIFO_SUFFIX: Final = ".fifo"
ENGINE_PREFIX: Final = "sqs/"

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,80}")
_ARN = re.compile(r"arn:aws[a-z-]*:sqs:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):(?P<name>[a-zA-Z0-9_.-]{1,80})")
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class QueueId:
    """A queue, whether it exists or not."""

    account: AccountId
    region: Region
    name: str

    @property
    def is_fifo(self) -> bool:
        return self.name.endswith(FIFO_SUFFIX)

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self.region}:{self.account}:{self.name}"

    @property
    def key(self) -> str:
        """Its key in the store."""
        return f"{self.account}/{self.region}/{self.name}"

    @property
    def policy_key(self) -> str:
        """The key of its policy among those of all resources."""
        return f"{self.account}/{self.region}/queue/{self.name}"

    @property
    def engine_name(self) -> str:
        return ENGINE_PREFIX + self.key

    def url(self, ctx: RequestContext) -> str:
        """Its URL at the endpoint the client used."""
        return f"{ctx.endpoint_url}/{self.account}/{self.name}"


def queue_of_key(key: str) -> QueueId:
    """The queue with that key, or that name in the engine."""
    account, region, name = key.removeprefix(ENGINE_PREFIX).split("/", 2)
    return QueueId(AccountId(account), Region(region), name)


def queue_of_arn(arn: str) -> QueueId | None:
    match = _ARN.fullmatch(arn)
    return QueueId(AccountId(match["account"]), Region(match["region"]), match["name"]) if match else None


def named_queue(ctx: RequestContext, params: Params) -> QueueId:
    """The queue a request is for: by its QueueUrl, or (older SDKs) by the path it was sent to."""
    url: str | None = params.get("QueueUrl")
    path = ctx.request.path if url is None else urlsplit(url).path if "://" in url else url
    parts = unquote(path).strip("/").split("/")
    if len(parts) >= 2 and _ACCOUNT.fullmatch(parts[-2]) and parts[-1]:
        return QueueId(AccountId(parts[-2]), ctx.region, parts[-1])
    raise missing_parameter("QueueUrl") if not url else invalid_address(url)


def check_new_name(name: str, is_fifo: bool) -> None:
    """Raise InvalidParameterValue unless a queue may be called that."""
    if is_fifo:
        if not name.endswith(FIFO_SUFFIX) or len(name) > 80 or not _NAME.fullmatch(name.removesuffix(FIFO_SUFFIX)):
            raise invalid_parameter(
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end "
                "with .fifo suffix and be 1 to 80 in length."
            )
    elif not _NAME.fullmatch(name):
        raise invalid_parameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
