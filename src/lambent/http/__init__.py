"""The HTTP/1.1 server and its limits, shared by the AWS endpoint, the gateways and the Runtime API.

Bytes in, `Exchange`s out; whoever handles an exchange answers it now or later with one `Response`. Knows nothing of
AWS. Imports only `model`.
"""
