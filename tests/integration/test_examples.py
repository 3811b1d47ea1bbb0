"""Every one of examples/, deployed and invoked with boto3."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class Deployed:
    """A deployed example; calling it invokes it."""

    functions: Any
    name: str
    event: str

    def __call__(self, event: object = None) -> Any:
        payload = self.event if event is None else json.dumps(event)
        answer = self.functions.invoke(FunctionName=self.name, Payload=payload)
        result = json.load(answer["Payload"])
        assert "FunctionError" not in answer, result
        return result


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="any", aws_secret_access_key="key", region_name="us-east-1")


@pytest.fixture
def deploy(server: RunningServer, session: boto3.Session, example: Callable[[str], Any]) -> Iterator[Any]:
    """Example name → the deployed example; deletes it afterwards."""
    functions = session.client("lambda", endpoint_url=server.url)
    iam = session.client("iam", endpoint_url=server.url)
    made: list[str] = []

    def deploy(name: str) -> Deployed:
        role = iam.create_role(RoleName=f"role-of-{name}", AssumeRolePolicyDocument=json.dumps(TRUST))
        made.append(name)
        loaded = example(name)
        functions.create_function(
            FunctionName=name,
            Runtime=loaded.runtime,
            Handler=loaded.handler,
            Role=role["Role"]["Arn"],
            Code={"ZipFile": loaded.package},
            MemorySize=256,
            Timeout=20,
        )
        functions.get_waiter("function_active_v2").wait(FunctionName=name)
        return Deployed(functions, name, loaded.event)

    yield deploy
    for name in made:
        functions.delete_function(FunctionName=name)
        iam.delete_role(RoleName=f"role-of-{name}")


def test_greeting(deploy: Callable[[str], Deployed]) -> None:
    greet = deploy("greeting")
    assert greet() == {"message": "Hello Ada Lovelace!"}
    assert greet({"first_name": "Grace", "last_name": "Hopper"}) == {"message": "Hello Grace Hopper!"}


def test_dynamodb_item(deploy: Callable[[str], Deployed]) -> None:
    item = deploy("dynamodb-item")()
    assert re.fullmatch(r"[0-9a-f-]{36}", item.pop("id")["S"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item.pop("createdAt")["S"])
    assert item == {
        "customer": {"S": "Ada Lovelace"},
        "items": {"L": [{"M": {"sku": {"S": "punched-card"}, "quantity": {"N": "24"}}}]},
        "paid": {"BOOL": True},
    }


def test_api_gateway(deploy: Callable[[str], Deployed]) -> None:
    function = deploy("api-gateway")
    answer = function()
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["headers"] == {"Content-Type": "application/json"}
    event = json.loads(function.event)
    request_id = event["requestContext"]["requestId"]
    assert json.loads(answer["body"]) == {"message": "Bonjour, Ada!", "requestId": request_id}
    refused = function(event | {"httpMethod": "POST"})
    assert (refused["statusCode"], refused["headers"]["Allow"]) == (405, "GET")
    assert function(event | {"pathParameters": None})["statusCode"] == 400
    assert function(event | {"queryStringParameters": {"lang": "tlh"}})["statusCode"] == 404


def test_thumbnail(
    deploy: Callable[[str], Deployed], grace_hopper: bytes, jpeg_size: Callable[[bytes], tuple[int, int]]
) -> None:
    thumbnail = deploy("thumbnail")
    picture = base64.b64encode(grace_hopper).decode()
    assert jpeg_size(grace_hopper) == (512, 600)
    for event, size in (({}, (109, 128)), ({"width": 64, "height": 64}, (55, 64)), ({"width": 40}, (40, 47))):
        answer = thumbnail({"image": picture, **event})
        made = base64.b64decode(answer["image"])
        assert jpeg_size(made) == size == (answer["width"], answer["height"])
        assert len(made) < len(grace_hopper)
