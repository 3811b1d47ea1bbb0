"""The AWS wire on the server side.

A request goes through one readable list: identify the caller, route (credential scope, X-Amz-Target, action, path),
decode, validate, authorise, handle, encode. Codecs are driven by botocore's service models. Services register
operations; this folder knows none of them.
"""
