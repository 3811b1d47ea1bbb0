"""The Lambda Runtime API 2018-06-01: `machine` decides, `server` does the I/O."""
