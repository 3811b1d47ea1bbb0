"""One host: pool → execution environment → Runtime API ↔ guest bootstrap in a sandbox.

What an environment needs comes in its spec, so that a worker can live on another machine: no `iam`, no `store`.
"""
