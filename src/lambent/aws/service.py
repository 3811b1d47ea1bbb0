"""A service as it registers itself, and as it is compiled for the request chain when first asked for."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lambent.aws.context import DirectOperation, Operation, Operations
from lambent.aws.models import ServiceModel, load_service_model
from lambent.aws.protocols.api import OperationCodec, ServiceProtocol
from lambent.aws.protocols.registry import PROTOCOLS
from lambent.aws.validation import Overrides, Validator, compile_validator, lower_camel
from lambent.http.messages import RequestHead
from lambent.model.errors import ServiceError
from lambent.model.limits import MIB

ANY_OPERATION = "*"
"""In `ServiceDefinition.overrides`: for every operation of the service (an operation's own entries win)."""


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """The largest request body of an operation in bytes, and how a larger one is refused (413).

    `named` is what the message calls the operation when that is not its name (AWS says InvokeFunction of Invoke).
    """

    max_bytes: int
    code: str = "RequestEntityTooLargeException"
    named: str | None = None

    def refusal(self, operation: str) -> ServiceError:
        named = self.named or operation
        text = f"Request must be smaller than {self.max_bytes} bytes for the {named} operation"
        return ServiceError(self.code, text, status=413, members={"Type": None})


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """An AWS API Lambent answers.

    `name` is botocore's. `overrides`: operation (or ANY_OPERATION) → constraints the service words or sets itself (see
    `validation.Overrides`). `body_limit` is for operations not in `body_limits`. `validation_code` is what this API
    calls a violated constraint, by default what its protocol does. `signing_name`, where it differs from `name`, is
    the service in the credential scope and the first label of its host names. `checks_by_itself`: the model's
    constraints are not checked before the handler, which words its own refusals. `supplement` is what the model lacks,
    in the model's form; under "query" what the query protocol needs that the model speaks no longer. `direct`:
    operations that can often be answered without a task.
    """

    name: str
    operations: Operations
    overrides: Mapping[str, Overrides] = field(default_factory=dict)
    body_limits: Mapping[str, BodyLimit] = field(default_factory=dict)
    body_limit: BodyLimit = BodyLimit(2 * MIB)
    validation_code: str | None = None
    signing_name: str | None = None
    checks_by_itself: bool = False
    supplement: Mapping[str, Any] | None = None
    direct: Mapping[str, DirectOperation] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompiledOperation:
    """An offered operation, ready for requests in one protocol."""

    name: str
    codec: OperationCodec
    validate: Validator | None
    handler: Operation
    is_unsigned: bool
    has_plain_envelope: bool  # its input follows from `codec.bound_headers`, and its payload needs no check
    direct: DirectOperation | None


class CompiledService:
    """A registered service with its model; the model is read on first use, operations are compiled on first use."""

    def __init__(self, definition: ServiceDefinition) -> None:
        self.definition = definition
        self.name = definition.name
        self.signing_name = definition.signing_name or definition.name
        self._operations: dict[tuple[str, str], CompiledOperation] = {}

    @functools.cached_property
    def model(self) -> ServiceModel:
        model, supplement = load_service_model(self.name), self.definition.supplement
        return model if supplement is None else model.overlaid(supplement)

    @functools.cached_property
    def _query_model(self) -> ServiceModel | None:
        """The model of the query protocol where AWS's describes it no longer."""
        supplement = self.definition.supplement
        return self.model.overlaid(supplement["query"]) if supplement is not None and "query" in supplement else None

    @functools.cached_property
    def protocols(self) -> tuple[ServiceProtocol, ...]:
        """The service's protocols, of those we speak; the model's preferred one first."""
        spoken = tuple(PROTOCOLS[name](self.model) for name in self.model.protocols if name in PROTOCOLS)
        if self._query_model is not None:
            spoken += (PROTOCOLS["query"](self._query_model),)
        if not spoken:
            raise NotImplementedError(f"{self.name} speaks none of {', '.join(PROTOCOLS)}")
        return spoken

    def protocol_for(self, head: RequestHead) -> ServiceProtocol:
        """The protocol a request is in; the preferred one when nothing says otherwise."""
        protocols = self.protocols
        if len(protocols) > 1:
            for protocol in protocols:
                if protocol.claims(head):
                    return protocol
        return protocols[0]

    def operation(self, protocol: ServiceProtocol, name: str) -> CompiledOperation:
        """An operation of the model. Raises NotImplementedException (501) when it has no handler."""
        compiled = self._operations.get((protocol.name, name))
        if compiled is None:
            compiled = self._operations[protocol.name, name] = self._compile(protocol, name)
        return compiled

    def _compile(self, protocol: ServiceProtocol, name: str) -> CompiledOperation:
        handler = self.definition.operations.get(name)
        if handler is None:
            text = f"Lambent does not offer {self.name}:{name} yet"
            raise ServiceError("NotImplementedException", text, status=501, members={"Type": None})
        models = self._query_model if protocol.name == "query" else None
        model = (models or self.model).operations[name]
        overrides = {**self.definition.overrides.get(ANY_OPERATION, {}), **self.definition.overrides.get(name, {})}
        codec = protocol.codec(model)
        is_plain = codec.bound_headers is not None and lower_camel(codec.payload or "") not in overrides
        return CompiledOperation(
            name=name,
            codec=codec,
            validate=None if self.definition.checks_by_itself else compile_validator(model.input, overrides),
            handler=handler,
            is_unsigned=model.unsigned,
            has_plain_envelope=is_plain and not model.unsigned,
            direct=self.definition.direct.get(name),
        )

    def validation_code(self, protocol: ServiceProtocol) -> str:
        """What this API calls a violated constraint."""
        return self.definition.validation_code or (
            "ValidationError" if protocol.name == "query" else "ValidationException"
        )

    def body_limit(self, operation: str | None) -> BodyLimit:
        definition = self.definition
        return definition.body_limits.get(operation or "", definition.body_limit)

    def internal_error(self) -> ServiceError:
        """What a failure of Lambent itself is called here: ServiceException where the API declares it."""
        text = "An internal error occurred; the cause is in Lambent's log under this request id."
        declared = self.model.error("ServiceException")
        if declared is not None and declared.status == 500:
            return ServiceError("ServiceException", text, status=500, members={"Type": "Service"})
        return ServiceError("InternalFailure", text, status=500)

    def unavailable_error(self, why: str) -> ServiceError:
        """What AWS's clients try again by themselves, for what may be possible later: what the API declares for that,
        or else the error that every AWS API may answer."""
        for code, members in (("ServiceException", {"Type": "Service"}), ("ServiceUnavailableException", {})):
            declared = self.model.error(code)
            if declared is not None and (declared.status or 503) >= 500:
                return ServiceError(code, why, status=503, members=members)
        return ServiceError("ServiceUnavailable", why, status=503)
