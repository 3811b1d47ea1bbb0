"""The AWS Lambda API: its shapes ↔ the control plane and the data plane. One file per resource.

`operations.operations` is the way in. May know: aws.context, control_plane, invoke's frontend, http's messages, model.
"""
