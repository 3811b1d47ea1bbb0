"""What a wire protocol offers to the request chain."""

from __future__ import annotations

from typing import Any, Protocol

from lambent.aws.context import Params
from lambent.aws.models import OperationModel
from lambent.http.messages import Request, RequestHead, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId
from lambent.model.values import value


@value
class Target:
    """The operation a request is for; `inputs` is what its protocol found on the way (path labels, form fields)."""

    operation: str
    inputs: Any = None


class OperationCodec(Protocol):
    """One operation in one protocol."""

    @property
    def bound_headers(self) -> tuple[str, ...] | None:
        """If the input is nothing but the request's target, these header fields (lower case) and perhaps the body as it
        is (see `payload`): their names. None if the body is decoded, or more is looked at."""
        ...

    @property
    def payload(self) -> str | None:
        """The member that is the body as it is."""
        ...

    def decode(self, request: Request, target: Target) -> Params:
        """The operation's input. Unknown members are ignored, nulls absent. Raises ServiceError (Serialization…)."""
        ...

    def encode(self, output: Params, request_id: RequestId) -> Response:
        """The answer. Members that are None or that the model does not know are left out."""
        ...


class ServiceProtocol(Protocol):
    """One service in one protocol."""

    @property
    def name(self) -> str: ...

    def claims(self, head: RequestHead) -> bool:
        """True when the head shows a request in this protocol (asked when a service speaks several)."""
        ...

    def operation_of(self, head: RequestHead) -> str | None:
        """The operation, as far as it can be told without the body."""
        ...

    def find(self, request: Request) -> Target | None:
        """The operation of a whole request; None when the service has no such operation."""
        ...

    def unknown_operation(self, request: Request) -> ServiceError:
        """What AWS answers when `find` found nothing."""
        ...

    def codec(self, operation: OperationModel) -> OperationCodec: ...

    def encode_error(self, error: ServiceError, request_id: RequestId) -> Response: ...
