"""The client side: AWS calls that we make or pass on. Knows endpoints and credentials, no service of ours."""
