"""Metrics: what is recorded, how it is kept and rolled up, and how it is asked for.

`sketch` and `statistics` are the values, `identity` the names, `store` what everybody writes to and reads from,
`database` its file. `invocations` turns invocations into Lambda's metrics and into usage, `usage` prices that.
"""
