"""The `process` backend: plain child processes. No isolation; says so wherever it shows."""
