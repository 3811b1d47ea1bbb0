"""The durable queue engine. SQS and the event queue of asynchronous invocation are thin layers on it.

Theory of operation. `api.py` is the port: what a queue promises. `sqlite.py` implements it over one SQLite file: every
change is a request to one writer thread, which commits the requests of all callers in groups (`store.group_writer`);
`transactions.py` carries out a group, few statements for many messages, by the rules in `standard.py` and `ordered.py`
(message groups, deduplication). The truth is in the file; memory holds a count for each queue and who waits at it
(`waiting.py`), so that neither grows with what is waiting. Imports `store` (the writer thread, opening files) and
`model`.
"""
