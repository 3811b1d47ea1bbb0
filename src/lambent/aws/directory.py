"""Finds the service a request is for among the registered ones. Pure, but that models are read on demand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lambent.aws.protocols.query import form_fields
from lambent.aws.routing import host_labels, signing_scope
from lambent.aws.service import CompiledService, ServiceDefinition
from lambent.http.messages import Request, RequestHead
from lambent.model.limits import MIB


class ServiceDirectory:
    """The registered services by the names requests give them."""

    def __init__(self, definitions: Sequence[ServiceDefinition]) -> None:
        self._services = [CompiledService(definition) for definition in definitions]
        self._by_signing_name: dict[str, list[CompiledService]] = {}
        for service in self._services:
            self._by_signing_name.setdefault(service.signing_name, []).append(service)
        limits = [limit for one in definitions for limit in (one.body_limit, *one.body_limits.values())]
        self.smallest_body_limit = min((limit.max_bytes for limit in limits), default=MIB)

    def __iter__(self) -> Iterator[CompiledService]:
        return iter(self._services)

    def find(self, head: RequestHead, body: bytes = b"") -> tuple[CompiledService | None, str | None]:
        """The service, and the name the request calls it by; either may be missing. `body` helps an unsigned form."""
        scope = signing_scope(head)
        if scope is not None:
            name = scope[1]
            candidates = self._by_signing_name.get(name)
            if candidates is None:
                return None, name
            return (candidates[0] if len(candidates) == 1 else self._claimed(candidates, head)), name
        target = head.headers.get("x-amz-target")
        if target is not None:
            return self._claimed(self._services, head, "json"), target.partition(".")[0].partition("_")[0].lower()
        return self._unsigned(head, body)

    def _unsigned(self, head: RequestHead, body: bytes) -> tuple[CompiledService | None, str | None]:
        first = host_labels(head)[0]
        candidates = self._by_signing_name.get(first)
        if candidates is not None:
            return self._claimed(candidates, head) or candidates[0], first
        service = self._by_action(Request(head, body)) or self._claimed(self._services, head, "rest-json")
        return service, service.name if service is not None else None

    def _claimed(
        self, candidates: Sequence[CompiledService], head: RequestHead, protocol: str | None = None
    ) -> CompiledService | None:
        for service in candidates:
            for spoken in service.protocols:
                if protocol in (None, spoken.name) and spoken.claims(head):
                    return service
        return None

    def _by_action(self, request: Request) -> CompiledService | None:
        if "Action=" not in request.query and b"Action=" not in request.body:
            return None
        fields = dict(form_fields(request))
        action, version = fields.get("Action"), fields.get("Version")
        for service in self._services:
            model = service.model
            speaks_query = any(protocol.name == "query" for protocol in service.protocols)
            if speaks_query and action in model.operations and version in (None, model.api_version):
                return service
        return None
