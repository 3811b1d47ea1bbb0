"""Durable state: the `Store` port and its implementations (SQLite; in memory for tests). Imports only `model`."""
