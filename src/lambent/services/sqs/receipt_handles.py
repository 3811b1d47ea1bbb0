"""Receipt handles: a receipt of the engine, and when the message was received, as text. Pure.

A handle is no secret and no permission: what it is used for is allowed or not by policies. The checksum is so that a
mangled one is called invalid instead of naming another message.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from lambent.model.errors import ServiceError
from lambent.queues.api import Receipt
from lambent.services.sqs.names import QueueId

_LAYOUT: Final = struct.Struct(">IQIQ")  # queue, sequence, lease, received (epoch ms)
_SUM: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Handle:
    receipt: Receipt
    received_ms: int


def handle_text(queue: QueueId, receipt: Receipt, received_ms: int) -> str:
    content = _LAYOUT.pack(zlib.crc32(queue.key.encode()), receipt.sequence, receipt.lease, received_ms)
    return base64.b64encode(content + _SUM.pack(zlib.crc32(content))).decode()


def read_handle(queue: QueueId, text: str) -> Handle:
    """Raises ReceiptHandleIsInvalid."""
    try:
        content = base64.b64decode(text, validate=True)
        if len(content) != _LAYOUT.size + _SUM.size:
            raise ValueError(text)
        content, checksum = content[: -_SUM.size], content[-_SUM.size :]
        queue_sum, sequence, lease, received_ms = _LAYOUT.unpack(content)
    except (ValueError, binascii.Error):
        raise _invalid(text) from None
    if checksum != _SUM.pack(zlib.crc32(content)) or queue_sum != zlib.crc32(queue.key.encode()):
        raise _invalid(text)
    return Handle(Receipt(queue.engine_name, sequence, lease), received_ms)


def _invalid(text: str) -> ServiceError:
    return ServiceError(
        "ReceiptHandleIsInvalid", f'The input receipt handle "{text[:500]}" is not a valid receipt handle.'
    )
