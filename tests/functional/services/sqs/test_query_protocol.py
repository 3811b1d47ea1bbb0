"""The query protocol, as SDKs from before 2023 send it, to the endpoint or to a queue's URL: forms in, XML out."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.functional.services.sqs.conftest import SqsServer

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


def ask(url: str, fields: dict[str, str], *, sign: bool = True, method: str = "POST") -> tuple[int, ET.Element]:
    fields = {"Version": "2012-11-05", **fields}
    body = urlencode(fields) if method == "POST" else ""
    target = url if method == "POST" else f"{url}?{urlencode(fields)}"
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"} if body else {}
    request = AWSRequest(method, target, data=body or None, headers=headers)
    if sign:
        SigV4Auth(Credentials("test", "test"), "sqs", "us-east-1").add_auth(request)
    prepared = request.prepare()
    sent = urllib.request.Request(prepared.url, body.encode() or None, dict(prepared.headers.items()), method=method)
    try:
        with urllib.request.urlopen(sent, timeout=20) as answer:
            status, content = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, content = error.code, error.read()
    return status, ET.fromstring(content)


def texts(element: ET.Element, path: str) -> list[str | None]:
    return [one.text for one in element.findall("/".join(NAMESPACE + part for part in path.split("/")))]


def make(server: SqsServer, name: str, **fields: str) -> str:
    status, answer = ask(f"{server.url}/", {"Action": "CreateQueue", "QueueName": name, **fields})
    assert status == 200, ET.tostring(answer)
    assert answer.tag == f"{NAMESPACE}CreateQueueResponse"
    [url] = texts(answer, "CreateQueueResult/QueueUrl")
    assert url
    return url


def test_a_queue_with_attributes_and_tags(server: SqsServer) -> None:
    fields = {"Attribute.1.Name": "VisibilityTimeout", "Attribute.1.Value": "40", "Tag.1.Key": "k", "Tag.1.Value": "v"}
    url = make(server, "query-made", **fields)
    _, answer = ask(url, {"Action": "GetQueueAttributes", "AttributeName.1": "VisibilityTimeout"})
    assert texts(answer, "GetQueueAttributesResult/Attribute/Name") == ["VisibilityTimeout"]
    assert texts(answer, "GetQueueAttributesResult/Attribute/Value") == ["40"]
    _, answer = ask(url, {"Action": "ListQueueTags", "QueueUrl": url})
    assert texts(answer, "ListQueueTagsResult/Tag/Key") == ["k"]
    _, answer = ask(f"{server.url}/", {"Action": "ListQueues", "QueueNamePrefix": "query-made"})
    assert texts(answer, "ListQueuesResult/QueueUrl") == [url]


@pytest.mark.parametrize("names_the_queue", [True, False], ids=["QueueUrl", "path"])
@pytest.mark.parametrize("sign", [True, False], ids=["signed", "unsigned"])
def test_the_life_of_a_message(server: SqsServer, names_the_queue: bool, sign: bool) -> None:
    url = make(server, f"query-life-{names_the_queue}-{sign}")
    named = {"QueueUrl": url} if names_the_queue else {}
    address = f"{server.url}/" if names_the_queue else url
    fields = {
        "Action": "SendMessage",
        "MessageBody": "a & <b> ✓",
        "MessageAttribute.1.Name": "n",
        "MessageAttribute.1.Value.DataType": "Number",
        "MessageAttribute.1.Value.StringValue": "1",
        "MessageAttribute.2.Name": "b",
        "MessageAttribute.2.Value.DataType": "Binary",
        "MessageAttribute.2.Value.BinaryValue": "AP8=",
        **named,
    }
    _, answer = ask(address, fields, sign=sign)
    assert texts(answer, "SendMessageResult/MD5OfMessageBody") == [hashlib.md5("a & <b> ✓".encode()).hexdigest()]
    assert len(texts(answer, "ResponseMetadata/RequestId")) == 1
    fields = {"Action": "ReceiveMessage", "AttributeName.1": "All", "MessageAttributeName.1": "All", **named}
    _, answer = ask(address, fields, sign=sign)
    message = "ReceiveMessageResult/Message"
    assert texts(answer, f"{message}/Body") == ["a & <b> ✓"]
    assert "ApproximateReceiveCount" in texts(answer, f"{message}/Attribute/Name")
    assert texts(answer, f"{message}/MessageAttribute/Name") == ["n", "b"]
    assert texts(answer, f"{message}/MessageAttribute/Value/BinaryValue") == ["AP8="]
    [handle] = texts(answer, f"{message}/ReceiptHandle")
    fields = {
        "Action": "DeleteMessageBatch",
        "DeleteMessageBatchRequestEntry.1.Id": "one",
        "DeleteMessageBatchRequestEntry.1.ReceiptHandle": str(handle),
        "DeleteMessageBatchRequestEntry.2.Id": "two",
        "DeleteMessageBatchRequestEntry.2.ReceiptHandle": "nonsense",
        **named,
    }
    _, answer = ask(address, fields, sign=sign)
    assert texts(answer, "DeleteMessageBatchResult/DeleteMessageBatchResultEntry/Id") == ["one"]
    assert texts(answer, "DeleteMessageBatchResult/BatchResultErrorEntry/Code") == ["ReceiptHandleIsInvalid"]
    _, answer = ask(address, {"Action": "DeleteQueue", **named}, sign=sign)
    assert answer.tag == f"{NAMESPACE}DeleteQueueResponse"


def test_a_get_with_everything_in_the_query(server: SqsServer) -> None:
    url = make(server, "query-get")
    status, _ = ask(url, {"Action": "SendMessage", "MessageBody": "x"}, method="GET")
    assert status == 200
    _, answer = ask(url, {"Action": "ReceiveMessage"}, method="GET", sign=False)
    assert texts(answer, "ReceiveMessageResult/Message/Body") == ["x"]


def test_errors_have_the_older_codes(server: SqsServer) -> None:
    status, answer = ask(f"{server.url}/000000000000/nobody", {"Action": "ReceiveMessage"})
    assert status == 400
    assert texts(answer, "Error/Code") == ["AWS.SimpleQueueService.NonExistentQueue"]
    assert texts(answer, "Error/Type") == ["Sender"]
    status, answer = ask(f"{server.url}/", {"Action": "ReceiveMessage"})
    assert texts(answer, "Error/Code") == ["MissingParameter"]
    assert texts(ask(f"{server.url}/", {"Action": "Nonsense"})[1], "Error/Code") == ["InvalidAction"]


def test_json_errors_name_the_shape_and_the_older_code(server: SqsServer) -> None:
    request = urllib.request.Request(
        server.url,
        b'{"QueueUrl": "http://x/000000000000/nobody"}',
        {"X-Amz-Target": "AmazonSQS.ReceiveMessage", "Content-Type": "application/x-amz-json-1.0"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    with caught.value as error:
        assert error.code == 400
        assert error.headers["x-amzn-query-error"] == "AWS.SimpleQueueService.NonExistentQueue;Sender"
        assert b'"__type":"QueueDoesNotExist"' in error.read()


def test_an_sdk_that_knows_only_this_protocol(server: SqsServer) -> None:
    """botocore with the model it had before 2023, as far as it matters: its own serialiser and parser."""
    from botocore.loaders import Loader

    from lambent.services.sqs.operations import supplement

    def merge(base: Any, overlay: Any) -> Any:
        if not (isinstance(base, dict) and isinstance(overlay, dict)):
            return overlay
        return {**base, **{name: merge(base.get(name), value) for name, value in overlay.items()}}

    class Older(Loader):
        def load_service_model(self, service_name: str, type_name: str, api_version: str | None = None) -> Any:
            model = super().load_service_model(service_name, type_name, api_version)
            if type_name != "service-2" or service_name != "sqs":
                return model
            older = merge(merge(model, {"shapes": supplement()["shapes"]}), supplement()["query"])
            metadata = {**older["metadata"], "protocol": "query", "protocols": ["query"]}
            return {**older, "metadata": {k: v for k, v in metadata.items() if k != "awsQueryCompatible"}}

    session = botocore.session.Session()
    session.register_component("data_loader", Older())
    client: Any = session.create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=server.url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    url = client.create_queue(QueueName="old.fifo", Attributes={"FifoQueue": "true"}, tags={"a": "b"})["QueueUrl"]
    attributes = {"b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
    entry = {"Id": "1", "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
    sent = client.send_message_batch(QueueUrl=url, Entries=[{**entry, "MessageAttributes": attributes}])
    [message] = client.receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"]
    assert message["MessageId"] == sent["Successful"][0]["MessageId"]
    assert message["MessageAttributes"] == attributes
    assert message["Attributes"]["MessageGroupId"] == "g"
    changed = client.change_message_visibility_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 5}]
    )
    assert changed["Successful"] == [{"Id": "1"}]
    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert client.list_queue_tags(QueueUrl=url)["Tags"] == {"a": "b"}
    client.close()
