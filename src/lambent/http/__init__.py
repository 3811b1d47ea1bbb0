"""The HTTP/1.1 server and its limits, shared by the AWS endpoint, the gateways and the Runtime API.

Bytes in, `Exchange`s out; whoever handles an exchange answers it now or later with one `Response`. Knows nothing of
AWS. Imports only `model`.

The way of a request: `connection` takes a read from the event loop, `parsing` (httptools, the limits, the policy)
makes exchanges of it with the rules of `reading`, the handler answers, `rendering` makes the answer one write
(`streaming`, several). Nothing on this way makes a task or a timer: `roster` looks after all connections of a server
with one timer, and `coroutines` is for handlers that want tasks. What it costs: `benchmarks/http_floor.py`.
"""
