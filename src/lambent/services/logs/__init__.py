"""CloudWatch Logs, as far as functions and their operators need it: groups, streams, events.

One file per resource; `operations` registers them, `retention` is the task beside them. The events lie in
`observability.logs`, the settings of groups (retention, tags, class) in the store's table `LOG_GROUPS`; a group without
a document there has none.
"""
