"""The query protocol: form fields in, XML out.

https://smithy.io/2.0/aws/protocols/aws-query-protocol.html. IAM and STS speak only this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lambent.aws.context import Params
from lambent.aws.models import OperationModel, ServiceModel
from lambent.aws.protocols.api import Target
from lambent.aws.protocols.errors import RenderedError, render_error
from lambent.aws.protocols.form_values import FormReaders, Tree, field_tree
from lambent.aws.protocols.rest_bindings import parse_query
from lambent.aws.protocols.xml_values import Write, XmlWriters, xml_text
from lambent.http.messages import Request, RequestHead, Response
from lambent.model.errors import ServiceError
from lambent.model.ids import RequestId

XML = ("Content-Type", "text/xml")


def form_fields(request: Request) -> list[tuple[str, str]]:
    """The fields of the query string, then of the body (when it is a form, or says nothing of what it is)."""
    fields = parse_query(request.query)
    if request.body and is_form(request.head):
        for name, values in parse_query(request.body.decode("utf-8", "replace")).items():
            fields.setdefault(name, values)
    return [(name, values[0]) for name, values in fields.items()]


def is_form(head: RequestHead) -> bool:
    """True of a body of form fields."""
    content_type = head.headers.get("content-type")
    return not content_type or content_type.lower().startswith("application/x-www-form-urlencoded")


class QueryOperation:
    """One operation in the query protocol."""

    bound_headers: tuple[str, ...] | None = None
    payload: str | None = None

    def __init__(self, operation: OperationModel, namespace: str, readers: FormReaders, writers: XmlWriters) -> None:
        self._read: Callable[[Tree], Any] | None = readers.structure(operation.input) if operation.input else None
        self._write: Write | None = writers.content(operation.output) if operation.output else None
        wrapper = operation.result_wrapper
        self._start = f'<{operation.name}Response xmlns="{xml_text(namespace)}">' + (f"<{wrapper}>" if wrapper else "")
        self._middle = (f"</{wrapper}>" if wrapper else "") + "<ResponseMetadata><RequestId>"
        self._end = f"</RequestId></ResponseMetadata></{operation.name}Response>"

    def decode(self, request: Request, target: Target) -> Params:
        if self._read is None:
            return {}
        params: Params = self._read(field_tree(target.inputs))
        return params

    def encode(self, output: Params, request_id: RequestId) -> Response:
        parts = [self._start]
        if self._write is not None:
            self._write(output, parts)
        parts += [self._middle, request_id, self._end]
        return Response(200, (XML, ("x-amzn-RequestId", request_id)), "".join(parts).encode())


class QueryProtocol:
    """One service in the query protocol."""

    name = "query"

    def __init__(self, service: ServiceModel) -> None:
        self._service = service
        self._namespace: str = service.metadata.get("xmlNamespace", "")
        self._readers = FormReaders()
        self._writers = XmlWriters()

    def claims(self, head: RequestHead) -> bool:
        return "x-amz-target" not in head.headers and is_form(head)

    def operation_of(self, head: RequestHead) -> str | None:
        action = parse_query(head.query).get("Action", [""])[0] if head.query else ""
        return action if action in self._service.operations else None

    def find(self, request: Request) -> Target | None:
        fields = form_fields(request)
        for name, value in fields:
            if name == "Action":
                return Target(value, fields) if value in self._service.operations else None
        return None

    def unknown_operation(self, request: Request) -> ServiceError:
        fields = dict(form_fields(request))
        if "Action" not in fields:
            return ServiceError("MissingAction", "The request must contain the parameter Action", status=400)
        action, version = fields["Action"][:200], fields.get("Version", self._service.api_version)[:40]
        return ServiceError("InvalidAction", f"Could not find operation {action} for version {version}", status=400)

    def codec(self, operation: OperationModel) -> QueryOperation:
        return QueryOperation(operation, self._namespace, self._readers, self._writers)

    def encode_error(self, error: ServiceError, request_id: RequestId) -> Response:
        return encode_error(error, request_id, self._service, self._writers)


def encode_error(
    error: ServiceError, request_id: RequestId, service: ServiceModel | None, writers: XmlWriters | None = None
) -> Response:
    """An `ErrorResponse`: Type Sender or Receiver, Code, Message, and the members the error's shape has."""
    rendered = render_error(error, service)
    namespace = service.metadata.get("xmlNamespace", "") if service is not None else ""
    fault = "Sender" if rendered.sender_fault else "Receiver"
    parts = [
        f'<ErrorResponse xmlns="{xml_text(namespace)}">' if namespace else "<ErrorResponse>",
        f"<Error><Type>{fault}</Type><Code>{xml_text(rendered.code)}</Code>",
        f"<Message>{xml_text(rendered.message)}</Message>",
    ]
    _write_members(rendered, writers, parts)
    parts.append(f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
    headers = (XML, ("x-amzn-RequestId", request_id))
    return Response(rendered.status, headers, "".join(parts).encode())


def _write_members(rendered: RenderedError, writers: XmlWriters | None, parts: list[str]) -> None:
    if rendered.model is None or writers is None:
        return
    members = writers.members(rendered.model.shape)
    for name, value in rendered.members.items():
        if name in members and name not in ("Type", "Code", "Message"):
            members[name](value, parts)
