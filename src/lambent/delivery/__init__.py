"""Records of invocations, on their way to destinations and dead-letter queues, whatever serves those.

`records` words them as AWS does (pure). `outbox` keeps each in a durable queue until it was taken: whoever ends an
event writes what is to be sent there before the event is forgotten. `sender` makes the AWS call, as the function's
execution role. `consuming` takes what is due from queues, bounded, without polling; the event queue uses it too.
Imports `aws_client`, `queues` and `model`.
"""
