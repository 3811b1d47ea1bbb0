"""The control plane: what functions and versions exist, and how they change. Never in the path of an invocation.

It writes the tables FUNCTIONS, VERSIONS, ALIASES and RESOURCE_POLICIES of the store, and those of what belongs to
functions besides (`attachments`, `concurrency`, `event_source_mappings`); the data plane reads them and watches them.
Layers (LAYERS, LAYER_VERSIONS) concern nobody else: a function carries what it needs of its layers.
Every change is decided by a pure function on what is stored (`configuration`, `versions`, `alias_configuration`,
`policies`, `states`, `validation`), then committed with the revision it was decided on: whoever comes second decides
again on what is there now. A new or updated function is first stored as Pending / InProgress and answered so, and
completed a few milliseconds later (`settling`), at the next start if need be.

May know: packaging, the ports of aws_client, iam, store, model. Never `lambent.invoke`: they meet in the store.
"""
