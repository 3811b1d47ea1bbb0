"""Deployment packages: ZIP archives → content-addressed read-only trees."""
