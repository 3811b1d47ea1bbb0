"""Requests whose envelope is known: routed, decoded and validated before, all but the signature and the raw payload.

A client that invokes a function over and over sends the same path, query and bound headers each time. Where an
operation's input is nothing but those and a payload that is passed on as it is, what they decode to is remembered.
What is remembered is what the general steps made of the first such request, so the answer cannot differ; the
signature, the caller's rights and everything about the payload are looked at each time.
"""

from __future__ import annotations

from typing import Final

from lambent.aws.context import Params
from lambent.aws.protocols.api import ServiceProtocol, Target
from lambent.aws.service import CompiledOperation, CompiledService
from lambent.http.messages import RequestHead

_ROUTES_MAX: Final = 1_024
_VARIANTS_MAX: Final = 64
_TEXT_MAX: Final = 1_024
_SIGNATURE: Final = "Signature="

RouteKey = tuple[str, str, str]
"""Method, target, and the Authorization header up to the signature: it names the service, by the credential scope."""


class Envelope:
    """What the envelope of a request was found to mean."""

    __slots__ = ("operation", "params", "payload", "protocol", "service", "target")

    def __init__(
        self,
        service: CompiledService,
        protocol: ServiceProtocol,
        target: Target,
        operation: CompiledOperation,
        params: Params,
        payload: str | None,
    ) -> None:
        self.service = service
        self.protocol = protocol
        self.target = target
        self.operation = operation
        self.params = params
        self.payload = payload

    def decode(self, body: bytes) -> Params:
        """The operation's input with this payload."""
        params = self.params.copy()
        if body and self.payload is not None:
            params[self.payload] = body
        return params


class _Route:
    __slots__ = ("names", "variants")

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.variants: dict[tuple[str | None, ...], Envelope] = {}


class Envelopes:
    """Those that were seen, within bounds."""

    def __init__(self) -> None:
        self._routes: dict[RouteKey, _Route] = {}

    def find(self, head: RequestHead) -> Envelope | None:
        """The envelope of a request, if it is known."""
        key = _route_key(head)
        route = self._routes.get(key) if key is not None else None
        if route is None:
            return None
        get = head.headers.first.get
        return route.variants.get(tuple([get(name) for name in route.names]))

    def remember(self, head: RequestHead, envelope: Envelope) -> None:
        """Keep an envelope that passed all steps; without effect where they depend on more than is compared."""
        bound = envelope.operation.codec.bound_headers
        key = _route_key(head)
        if bound is None or key is None or len(envelope.service.protocols) > 1:
            return
        if len(dict(head.headers.items)) != len(head.headers.items):
            return  # a field given twice
        get = head.headers.first.get
        values = tuple([get(name) for name in bound])
        if sum(map(len, key)) + sum(len(value or "") for value in values) > _TEXT_MAX:
            return
        if not all(isinstance(value, (str, int, bool)) for value in envelope.params.values()):
            return
        if len(self._routes) >= _ROUTES_MAX:
            self._routes.clear()
        route = self._routes.setdefault(key, _Route(bound))
        if len(route.variants) >= _VARIANTS_MAX:
            route.variants.clear()
        route.variants[values] = envelope


def _route_key(head: RequestHead) -> RouteKey | None:
    first = head.headers.first
    authorization = first.get("authorization")
    if authorization is None or "content-encoding" in first or "x-amz-target" in first:
        return None
    end = authorization.rfind(_SIGNATURE)
    return (head.method, head.target, authorization[:end]) if end > 0 else None
