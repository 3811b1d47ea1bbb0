"""Logs Insights: queries over log events in AWS's query language.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html. `language` cuts a query into tokens,
`expressions` and `functions` make what can be evaluated for a row, `aggregates` what can be for a group of rows,
`commands` reads a query, `pipeline` runs it over rows that come batch by batch, `rows` is one event with its discovered
fields. All of it is pure and may run in any thread; nothing is kept but what the answer needs (`sort` and `limit`
together keep no more rows than are asked for). Beside it, `engine` reads the log store and keeps the answers, and
`worker` is the process that a query runs in.

May know: the `logs` package, and `model`.
"""
