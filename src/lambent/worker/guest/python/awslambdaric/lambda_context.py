"""`LambdaContext` and its parts, for type annotations and tests of functions."""

from _lambda_runtime.context import Client, ClientContext, CognitoIdentity, LambdaContext

__all__ = ["Client", "ClientContext", "CognitoIdentity", "LambdaContext"]
