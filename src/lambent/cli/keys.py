"""`lambent keys create|list|delete`: access keys of users and of root, through the IAM API."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from lambent.cli.client import client, error_code, one_line_errors
from lambent.cli.errors import CommandError
from lambent.cli.printing import print_json, print_table


def run(options: Namespace) -> int:
    """Make, list or delete keys."""
    if options.action == "delete" and options.key is None:
        raise CommandError("say which key: lambent keys delete KEY")
    if options.action != "delete" and options.key is not None:
        raise CommandError(f"lambent keys {options.action} takes no key; a user is named with --user")
    if options.action != "create" and options.policy:
        raise CommandError("--policy is for lambent keys create")
    with one_line_errors(options):
        iam = client(options, "iam")
        {"create": _create, "list": _list, "delete": _delete}[options.action](iam, options)
    return 0


def _create(iam: Any, options: Namespace) -> None:
    """A key for a user, who is made if there is none of that name; for the caller itself without one."""
    if options.policy and options.user is None:
        raise CommandError("--policy says what a user may do: name one with --user")
    owner = {} if options.user is None else {"UserName": options.user}
    arns = [policy if policy.startswith("arn:") else _arn_of(iam, policy) for policy in options.policy]
    made = options.user is not None and _made_user(iam, options.user)
    for arn in arns:
        iam.attach_user_policy(UserName=options.user, PolicyArn=arn)
    key = iam.create_access_key(**owner)["AccessKey"]
    if options.json:
        print_json(key)
        return
    print(f"[{key['UserName']}]")
    print(f"aws_access_key_id = {key['AccessKeyId']}")
    print(f"aws_secret_access_key = {key['SecretAccessKey']}")
    if made and not options.policy:
        print(f"# {options.user} is new and may do nothing where policies are enforced: give --policy, or use IAM.")


def _arn_of(iam: Any, name: str) -> str:
    """The ARN of a managed policy that is there, the account's own or AWS's."""
    for page in iam.get_paginator("list_policies").paginate():
        for policy in page["Policies"]:
            if policy["PolicyName"] == name:
                return str(policy["Arn"])
    raise CommandError(f"there is no managed policy {name}; `aws iam list-policies` lists them")


def _made_user(iam: Any, name: str) -> bool:
    try:
        iam.create_user(UserName=name)
    except ClientError as error:
        if error_code(error) != "EntityAlreadyExists":
            raise
        return False
    return True


def _list(iam: Any, options: Namespace) -> None:
    """The keys of one user, or of everybody."""
    keys = list(_keys(iam, options.user))
    if options.json:
        print_json(keys)
    elif keys:
        print_table(
            ("USER", "KEY", "STATUS", "CREATED"),
            [
                (key["UserName"], key["AccessKeyId"], key["Status"], f"{key['CreateDate']:%Y-%m-%d %H:%M:%S}")
                for key in keys
            ],
        )
    else:
        print("There are no keys. `lambent keys create` makes one.")


def _delete(iam: Any, options: Namespace) -> None:
    """A key, whosever it is."""
    for key in _keys(iam, options.user):
        if key["AccessKeyId"] == options.key:
            owner = {} if key["UserName"] == "root" else {"UserName": key["UserName"]}
            iam.delete_access_key(AccessKeyId=options.key, **owner)
            if options.json:
                print_json({"AccessKeyId": options.key, "Deleted": True})
            else:
                print(f"Deleted {options.key} of {key['UserName']}.")
            return
    raise CommandError(f"there is no key {options.key}")


def _keys(iam: Any, user: str | None) -> Iterator[dict[str, Any]]:
    if user is not None:
        yield from _keys_of(iam, {"UserName": user})
        return
    own = _keys_of(iam, {})
    yield from own
    seen = {key["AccessKeyId"] for key in own}
    for page in iam.get_paginator("list_users").paginate():
        for one in page["Users"]:
            yield from (key for key in _keys_of(iam, {"UserName": one["UserName"]}) if key["AccessKeyId"] not in seen)


def _keys_of(iam: Any, owner: dict[str, str]) -> list[dict[str, Any]]:
    pages = iam.get_paginator("list_access_keys").paginate(**owner)
    return [key for page in pages for key in page["AccessKeyMetadata"]]
