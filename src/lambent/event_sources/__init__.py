"""Event source mappings at work: pollers that read a source and invoke the mapping's function with what they read.

`mappings` keeps a runner for every stored mapping and moves its state; what polls is behind the port in `ports`, one
implementation for each kind of source. For Amazon SQS: `sqs_poller` does the I/O, and decides with `batches` (what goes
into an invocation), `batch_response` (what of it succeeded), `filters`, `scaling` and `sqs_records`, which are pure.

Pollers call AWS APIs as the execution role, through `aws_client`; they know no queue of ours.
"""
