"""Asynchronous invocation: the event queue, and running what is in it.

Theory of operation. `accepting` writes an event into its function's queue and answers when it is on disk. `dispatch`
has one task for each function with events: it takes as many as the function's `window` has room for and starts an
attempt for each. An attempt runs the function through the invoke frontend, has `policy` decide what follows, and does
it: hand the event back to the queue for later, or write what is to be sent (`lambent.delivery`) and only then forget
the event. So at any moment an event is in its queue, or its record is in the outbox, or both; never neither.

`policy` and `window` are pure. Imports `delivery`, `invoke`, `queues`, `store` and `model`.
"""
