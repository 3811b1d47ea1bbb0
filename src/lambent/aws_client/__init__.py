"""The client side: AWS calls that we make or pass on. Knows endpoints and credentials, no service of ours.

`client` signs requests and reads answers, `sqs` and `destinations` are the operations we call with it, and a
`transport` carries them: `http_transport` to any server, `in_process` to our own endpoint (wired in `app/calls.py`),
where every call is authenticated and authorised as whoever signed it, and forwarded if an upstream answers that API.
"""
