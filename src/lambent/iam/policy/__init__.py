"""Policy evaluation: what a set of policies says of one request. Pure; knows nothing of stores, services or the wire.

A policy document is parsed once (`document`) into statements whose patterns (`templates`), conditions (`conditions`)
and principals (`subjects`) are compiled. `evaluation.decide` puts the kinds of policies together as AWS does: an
explicit deny anywhere wins, a permissions boundary and session policies can only narrow, a resource-based policy can
grant by itself within an account and must grant between accounts. `denials` words the outcome as AWS does.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""
