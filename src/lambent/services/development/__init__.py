"""What only a server in development mode answers: moving its clock. Nothing of it exists without `--dev`."""
