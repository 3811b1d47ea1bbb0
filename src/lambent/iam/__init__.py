"""Principals, roles, sessions, credentials, SigV4 verification; later policy evaluation. Pure but for the store."""
