"""The policy simulator, by boto3 and by the aws CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "444455556666"
FUNCTION = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"


def policy(effect: str, action: str, resource: str = "*", **more: Any) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def iam(open_server: Any) -> Any:
    iam = open_server.client("iam", ACCOUNT, "x")
    iam.create_user(UserName="ann", Tags=[{"Key": "team", "Value": "red"}])
    iam.create_group(GroupName="devs")
    iam.add_user_to_group(UserName="ann", GroupName="devs")
    iam.put_group_policy(GroupName="devs", PolicyName="invoke", PolicyDocument=policy("Allow", "lambda:Invoke*"))
    tagged = {"StringEquals": {"aws:PrincipalTag/team": "red", "aws:RequestedRegion": "us-east-1"}}
    iam.put_user_policy(
        UserName="ann", PolicyName="list", PolicyDocument=policy("Allow", "lambda:List*", Condition=tagged)
    )
    return iam


ANN = f"arn:aws:iam::{ACCOUNT}:user/ann"


def test_a_principal(iam: Any) -> None:
    actions = ["lambda:InvokeFunction", "lambda:ListFunctions", "lambda:DeleteFunction"]
    results = iam.simulate_principal_policy(PolicySourceArn=ANN, ActionNames=actions)["EvaluationResults"]
    decisions = {result["EvalActionName"]: result["EvalDecision"] for result in results}
    assert decisions == dict(zip(actions, ["allowed", "implicitDeny", "implicitDeny"], strict=True))
    assert results[0]["MatchedStatements"] == [{"SourcePolicyId": "invoke", "SourcePolicyType": "group"}]
    assert results[1]["MissingContextValues"] == ["aws:requestedregion"]
    region = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyValues": ["us-east-1"], "ContextKeyType": "string"}
    (result,) = iam.simulate_principal_policy(
        PolicySourceArn=ANN, ActionNames=["lambda:ListFunctions"], ContextEntries=[region]
    )["EvaluationResults"]
    assert (result["EvalDecision"], result["MissingContextValues"]) == ("allowed", [])
    names = iam.get_context_keys_for_principal_policy(PolicySourceArn=ANN)["ContextKeyNames"]
    assert names == ["aws:principaltag/team", "aws:requestedregion"]


def test_policies_of_ones_own(iam: Any) -> None:
    arguments = {
        "PolicyInputList": [policy("Allow", "lambda:*"), policy("Deny", "lambda:*", f"{FUNCTION}-secret")],
        "ActionNames": ["lambda:GetFunction"],
        "ResourceArns": [FUNCTION, f"{FUNCTION}-secret"],
    }
    results = iam.simulate_custom_policy(**arguments)["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["allowed", "explicitDeny"]
    assert results[1]["MatchedStatements"][0]["SourcePolicyId"] == "PolicyInputList.2"
    bounded = iam.simulate_custom_policy(**arguments, PermissionsBoundaryPolicyInputList=[policy("Allow", "logs:*")])[
        "EvaluationResults"
    ]
    assert bounded[0]["EvalDecision"] == "implicitDeny"
    assert bounded[0]["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}
    on_resource = json.dumps(
        {"Statement": {"Effect": "Allow", "Principal": {"AWS": ANN}, "Action": "lambda:*", "Resource": "*"}}
    )
    (result,) = iam.simulate_custom_policy(
        PolicyInputList=[policy("Allow", "s3:*")],
        ActionNames=["lambda:GetFunction"],
        ResourcePolicy=on_resource,
        CallerArn=ANN,
    )["EvaluationResults"]
    assert result["EvalDecision"] == "allowed"
    used = [policy("Allow", "s3:*", "arn:aws:s3:::b/${aws:username}")]
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=used)["ContextKeyNames"] == ["aws:username"]
    with pytest.raises(ClientError, match="InvalidInput"):
        iam.get_context_keys_for_custom_policy(PolicyInputList=["{"])
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.simulate_principal_policy(PolicySourceArn=f"{ANN}a", ActionNames=["a:b"])


def test_with_the_aws_cli(iam: Any, open_server: Any, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_ENDPOINT_URL": open_server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [
        str(Path(sys.executable).with_name("aws")), "iam", "simulate-principal-policy", "--policy-source-arn", ANN,
        "--action-names", "lambda:InvokeFunction", "--query", "EvaluationResults[].EvalDecision", "--output", "text",
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "allowed\n"
