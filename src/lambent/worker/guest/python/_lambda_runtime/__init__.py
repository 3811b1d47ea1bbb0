"""The runtime of Python functions: search path, log streams, handler, Runtime API loop.

Runs inside the execution environment on Python 3.8 and later, with the standard library only. It behaves like AWS's
own runtime interface client, which user code can tell from the outside by payloads, log records, `context` and
`sys.path`. Nothing here reads the environment at import time, so that a process may import it long before it
becomes the environment of a function.
"""
