"""Helpers for users' tests: a running server, a manual clock, an in-memory store, a fake sandbox."""
