"""Does a role's trust policy let a caller in? Pure. What the caller's own policies say is another question."""

from __future__ import annotations

from lambent.iam.policy.document import PolicyError, parse_policy
from lambent.iam.policy.evaluation import AccessRequest, PolicySet, decide
from lambent.iam.policy.subjects import Subject, subject_of
from lambent.iam.policy.templates import Keys
from lambent.iam.principal import Principal
from lambent.iam.roles import Role

_ALLOWS_ALL = parse_policy({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})


def trusts(role: Role, principal: Principal, action: str, keys: Keys) -> bool:
    """Whether the trust policy allows `action` (sts:AssumeRole, sts:TagSession, …) to a caller with those keys."""
    return trusts_subject(role, subject_of(principal), action, keys)


def trusts_subject(role: Role, subject: Subject, action: str, keys: Keys) -> bool:
    """The same for whoever is no principal of IAM: a federated identity."""
    try:
        policy = parse_policy(role.trust_policy, role.arn)
    except PolicyError:
        return False
    request = AccessRequest(subject, action, role.arn, keys, role.account)
    return decide(request, PolicySet([_ALLOWS_ALL], resource=[policy]), resource_must_allow=True).allowed
