"""What an error says, before a protocol renders it: code, status, message key and members, from the service model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lambent.aws.models import ErrorModel, ServiceModel
from lambent.model.errors import ServiceError

_UNMODELLED_MESSAGE_KEYS = {"AccessDeniedException": "Message"}
"""Errors of AWS's framework that no model declares write `message`; this is the exception."""


@dataclass(frozen=True, slots=True)
class RenderedError:
    """`members` are without the message, which goes under `message_key`.

    `model` is None for errors the service does not declare; then `members` may be anything the raiser gave.
    """

    code: str
    status: int
    message: str
    message_key: str
    members: dict[str, Any]
    model: ErrorModel | None

    @property
    def sender_fault(self) -> bool:
        return self.status < 500


def render_error(error: ServiceError, service: ServiceModel | None) -> RenderedError:
    """Lay an error over its model: the model's status and message key win; members that are None are left out."""
    model = service.error(error.code) if service is not None else None
    given = {name: value for name, value in error.members.items() if value is not None}
    message = error.message.encode("utf-8", "replace").decode()  # an error must render, lone surrogates or not
    if model is None:
        key = _UNMODELLED_MESSAGE_KEYS.get(error.code, "message")
        return RenderedError(error.code, error.status, message, key, given, None)
    key = model.message_member or "message"  # sent even where the model does not mention it
    known = {name: value for name, value in given.items() if name in model.shape.members and name != key}
    return RenderedError(model.code, model.status or error.status, message, key, known, model)
