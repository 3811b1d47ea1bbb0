"""Principals, roles, sessions, credentials, SigV4 verification (and, later, policy evaluation). Pure but for the store."""
