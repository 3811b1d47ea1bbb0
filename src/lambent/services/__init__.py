"""One folder per AWS API, one file per resource: API shapes ↔ model. No service imports another."""
