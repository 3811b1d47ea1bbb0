"""`--auth sigv4 --iam enforce`: a function whose role may write one queue writes that, and does nothing else."""

from __future__ import annotations

import configparser
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from lambent.testing.packages import zip_of
from lambent.testing.server import RunningServer

pytestmark = pytest.mark.root

ACCOUNT = "000000000000"
HANDLER = """
import boto3
from botocore.exceptions import ClientError

sqs = boto3.client("sqs")

def handler(event, context):
    try:
        answer = getattr(sqs, event["operation"])(**event.get("parameters", {}))
    except ClientError as error:
        return {"refused": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}
    answer.pop("ResponseMetadata")
    return {"done": answer}
"""


class Clients:
    """Clients of a running server, as its root user."""

    def __init__(self, server: RunningServer, key: str, secret: str) -> None:
        self.server, self.key, self.secret = server, key, secret
        self.sqs, self.iam, self.functions = (self.make(service) for service in ("sqs", "iam", "lambda"))

    def make(self, service: str, key: str | None = None, secret: str | None = None) -> Any:
        client: Any = boto3.client
        return client(
            service,
            endpoint_url=self.server.url,
            region_name="us-east-1",
            aws_access_key_id=key or self.key,
            aws_secret_access_key=secret or self.secret,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Have the function do it."""
        event = json.dumps({"operation": operation, "parameters": parameters})
        answer: dict[str, Any] = json.load(self.functions.invoke(FunctionName="writer", Payload=event)["Payload"])
        return answer


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    data = tmp_path_factory.mktemp("queues") / "data"
    with RunningServer(data, ("--auth", "sigv4")) as server:  # policies are in force by default then
        file = configparser.ConfigParser()
        file.read(data / "credentials")
        yield Clients(server, file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_a_function_that_may_write_one_queue_and_nothing_else(clients: Clients) -> None:
    sqs, iam = clients.sqs, clients.iam
    mine, other = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("mine", "other"))
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="writes", AssumeRolePolicyDocument=document(trust))["Role"]
    arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:mine"
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn}
    iam.put_role_policy(RoleName="writes", PolicyName="p", PolicyDocument=document(statement))
    clients.functions.create_function(
        FunctionName="writer",
        Runtime="python3.11",
        Handler="app.handler",
        Role=role["Arn"],
        MemorySize=256,
        Timeout=30,
        Code={"ZipFile": zip_of({"app.py": HANDLER})},
    )
    clients.functions.get_waiter("function_active_v2").wait(FunctionName="writer", WaiterConfig={"Delay": 0.05})

    entries = [{"Id": "1", "MessageBody": "second"}]
    assert "done" in clients.call("send_message", QueueUrl=mine, MessageBody="first")
    assert "done" in clients.call("send_message_batch", QueueUrl=mine, Entries=entries)
    messages = sqs.receive_message(QueueUrl=mine, MaxNumberOfMessages=10, AttributeNames=["SenderId"])["Messages"]
    assert [message["Body"] for message in messages] == ["first", "second"]
    assert {message["Attributes"]["SenderId"].split(":")[1] for message in messages} == {"writer"}

    def denied(action: str, operation: str, resource: str, **parameters: Any) -> None:
        answer = clients.call(operation, **parameters)
        assert answer["refused"].endswith("AccessDenied"), answer
        user = f"arn:aws:sts::{ACCOUNT}:assumed-role/writes/writer"
        action = action.lower()  # as SQS writes it
        assert answer["message"] == (
            f"User: {user} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action"
        )

    handle = messages[0]["ReceiptHandle"]
    theirs = f"arn:aws:sqs:us-east-1:{ACCOUNT}:other"
    denied("sqs:SendMessage", "send_message", theirs, QueueUrl=other, MessageBody="x")
    denied("sqs:SendMessage", "send_message_batch", theirs, QueueUrl=other, Entries=entries)
    denied("sqs:ReceiveMessage", "receive_message", arn, QueueUrl=mine)
    denied("sqs:DeleteMessage", "delete_message", arn, QueueUrl=mine, ReceiptHandle=handle)
    denied("sqs:GetQueueAttributes", "get_queue_attributes", arn, QueueUrl=mine, AttributeNames=["All"])
    denied("sqs:PurgeQueue", "purge_queue", arn, QueueUrl=mine)
    denied("sqs:DeleteQueue", "delete_queue", arn, QueueUrl=mine)
    denied("sqs:SetQueueAttributes", "set_queue_attributes", arn, QueueUrl=mine, Attributes={"Policy": ""})
    denied("sqs:ListQueues", "list_queues", "*")
    denied("sqs:CreateQueue", "create_queue", f"arn:aws:sqs:us-east-1:{ACCOUNT}:new", QueueName="new")
    denied("sqs:StartMessageMoveTask", "start_message_move_task", arn, SourceArn=arn)

    # A queue's own policy lets somebody of its account in as well, and a Deny in it keeps everybody out.
    grant = {"Effect": "Allow", "Principal": {"AWS": role["Arn"]}, "Action": "sqs:SendMessage", "Resource": theirs}
    sqs.set_queue_attributes(QueueUrl=other, Attributes={"Policy": document(grant)})
    assert "done" in clients.call("send_message", QueueUrl=other, MessageBody="x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=mine, Attributes={"Policy": document(deny)})
    answer = clients.call("send_message", QueueUrl=mine, MessageBody="x")
    assert answer["message"].endswith("with an explicit deny in a resource-based policy")


def test_a_request_without_a_good_signature_is_refused(clients: Clients) -> None:
    for key, secret, code in (
        (clients.key, "wrong", "SignatureDoesNotMatch"),
        ("AKIAIOSFODNN7EXAMPLE", clients.secret, "InvalidClientTokenId"),
    ):
        stranger = clients.make("sqs", key, secret)
        with pytest.raises(ClientError) as caught:
            stranger.list_queues()
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
