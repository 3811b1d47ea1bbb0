"""Who calls, and who may do what: access keys, sessions, roles, policies."""

from __future__ import annotations

from dataclasses import dataclass

from lambent.app.stage import Stage
from lambent.app.storage import Storage
from lambent.aws.authorisation import Authoriser
from lambent.iam.audit import AuditLog
from lambent.iam.authentication import AcceptAnyKey, Authenticate, VerifySignatures
from lambent.iam.enforcement import Enforcer
from lambent.iam.entities import IamEntities
from lambent.iam.identities import Identities
from lambent.iam.policy_sources import PolicySource, StoredResourcePolicies
from lambent.iam.sessions import SessionIssuer, load_secret
from lambent.services.cloudwatch import access as cloudwatch_access
from lambent.services.iam import access as iam_access
from lambent.services.lambda_ import access as lambda_access
from lambent.services.logs import access as logs_access
from lambent.services.sqs import access as sqs_access
from lambent.services.sts import access as sts_access


@dataclass(frozen=True, slots=True)
class Identity:
    """`authoriser` is None with `--iam off`."""

    identities: Identities
    sessions: SessionIssuer
    entities: IamEntities
    callers: PolicySource
    authenticate: Authenticate
    authoriser: Authoriser | None


async def load_identity(stage: Stage, storage: Storage) -> Identity:
    """Load who is known; make the root access key at the first start."""
    config, stack = stage.config, stage.stack
    identities = await Identities.load(storage.documents)
    stack.push_async_callback(identities.close)
    await identities.ensure_root_key(config.account, stage.data.credentials)
    sessions = SessionIssuer(await load_secret(storage.documents), stage.clock.now)
    entities = IamEntities.of(storage.documents, identities, stage.clock.now)
    callers = PolicySource(storage.documents, entities)
    stack.callback(callers.close)
    authenticate: Authenticate = (
        VerifySignatures(identities, sessions)
        if config.auth == "sigv4"
        else AcceptAnyKey(sessions, config.account, config.region)
    )
    authoriser = _authoriser(stage, storage, entities, callers) if config.iam == "enforce" else None
    return Identity(identities, sessions, entities, callers, authenticate, authoriser)


def _authoriser(stage: Stage, storage: Storage, entities: IamEntities, callers: PolicySource) -> Authoriser:
    """What has IAM policies decide, and notes what they decided."""
    audit = AuditLog(stage.data.audit)
    stage.stack.push_async_callback(audit.close)
    resources = StoredResourcePolicies(storage.documents, entities)
    stage.stack.callback(resources.close)
    rules = {
        "lambda": lambda_access.RULES,
        "logs": logs_access.RULES,
        "cloudwatch": cloudwatch_access.RULES,
        "iam": iam_access.rules(entities),
        "sts": sts_access.RULES,
        "sqs": sqs_access.RULES,
    }
    return Authoriser(Enforcer(callers, resources, audit), rules)
