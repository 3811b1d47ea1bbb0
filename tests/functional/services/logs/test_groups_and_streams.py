"""Log groups, streams and tags with boto3."""

from __future__ import annotations

import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

GROUP = "/aws/lambda/greet"


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_group_from_creation_to_deletion(logs: Any) -> None:
    logs.create_log_group(logGroupName=GROUP, tags={"team": "a"})
    with pytest.raises(ClientError) as caught:
        logs.create_log_group(logGroupName=GROUP)
    assert refusal(caught) == ("ResourceAlreadyExistsException", "The specified log group already exists")
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=14)
    (group,) = logs.describe_log_groups()["logGroups"]
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    assert abs(group.pop("creationTime") - time.time() * 1000) < 60_000
    assert group == {
        "logGroupName": GROUP,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "retentionInDays": 14,
        "metricFilterCount": 0,
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
        "deletionProtectionEnabled": False,
    }
    logs.delete_retention_policy(logGroupName=GROUP)
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    logs.delete_log_group(logGroupName=GROUP)
    assert logs.describe_log_groups()["logGroups"] == []
    with pytest.raises(ClientError) as caught:
        logs.delete_log_group(logGroupName=GROUP)
    assert refusal(caught) == ("ResourceNotFoundException", "The specified log group does not exist.")
    logs.create_log_group(logGroupName=GROUP)
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}  # nothing of the old one is left


def test_groups_by_page_prefix_and_pattern(logs: Any) -> None:
    names = sorted([f"/aws/lambda/f-{number:02d}" for number in range(7)] + ["/Data/Logs", "Zeta", "alpha"])
    for name in reversed(names):
        logs.create_log_group(logGroupName=name)

    def listed(**params: Any) -> list[str]:
        pages = logs.get_paginator("describe_log_groups").paginate(**params)
        return [group["logGroupName"] for page in pages for group in page["logGroups"]]

    assert listed() == names
    assert listed(PaginationConfig={"PageSize": 3}) == names
    assert listed(logGroupNamePrefix="/aws/lambda/f-0") == names[1:8]
    assert listed(logGroupNamePattern="Logs") == ["/Data/Logs"]
    assert listed(logGroupNamePattern="logs") == []
    (brief,) = logs.describe_log_groups(logGroupNamePattern="Zeta")["logGroups"]
    assert set(brief) == {"logGroupName", "creationTime", "arn"}
    assert listed(logGroupIdentifiers=["alpha", "Zeta", "none"]) == ["Zeta", "alpha"]
    with pytest.raises(ClientError) as caught:
        logs.describe_log_groups(logGroupNamePattern="a", logGroupNamePrefix="a")
    assert refusal(caught)[0] == "InvalidParameterException"


def test_accounts_and_regions_are_apart(server: Any, logs: Any) -> None:
    logs.create_log_group(logGroupName=GROUP)
    assert server.make_client(region="eu-west-1").describe_log_groups()["logGroups"] == []
    assert server.make_client(key="111122223333").describe_log_groups()["logGroups"] == []
    for arn in (
        f"arn:aws:logs:eu-west-1:000000000000:log-group:{GROUP}",
        f"arn:aws:logs:us-east-1:111122223333:log-group:{GROUP}",
    ):
        with pytest.raises(ClientError) as caught:
            logs.filter_log_events(logGroupIdentifier=arn)
        assert refusal(caught) == ("ResourceNotFoundException", "The specified log group does not exist.")


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("create_log_group", {"logGroupName": "aws/x"}, "Log groups starting with AWS/ are reserved for AWS."),
        ("create_log_group", {"logGroupName": "a b"}, "satisfy regular expression pattern"),
        ("create_log_group", {"logGroupName": "x", "kmsKeyId": "k"}, "kmsKeyId is not supported"),
        ("put_retention_policy", {"logGroupName": "x", "retentionInDays": 2}, "Member must satisfy enum value set"),
        (
            "describe_log_streams",
            {"logGroupName": "there", "orderBy": "LastEventTime", "logStreamNamePrefix": "a"},
            "Cannot order by LastEventTime with a logStreamNamePrefix.",
        ),
        ("describe_log_streams", {}, "You must include either logGroupIdentifier or logGroupName"),
    ],
)
def test_invalid_parameters(logs: Any, operation: str, params: dict[str, Any], message: str) -> None:
    logs.create_log_group(logGroupName="there")
    with pytest.raises(ClientError) as caught:
        getattr(logs, operation)(**params)
    code, text = refusal(caught)
    assert code == "InvalidParameterException"
    assert message in text


def test_streams(logs: Any) -> None:
    now_ms = int(time.time() * 1000)
    logs.create_log_group(logGroupName=GROUP)
    names = [f"2026/11/23/[$LATEST]{number:032x}" for number in range(5)]
    for name in names:
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
    with pytest.raises(ClientError) as caught:
        logs.create_log_stream(logGroupName=GROUP, logStreamName=names[0])
    assert refusal(caught) == ("ResourceAlreadyExistsException", "The specified log stream already exists")
    for offset, name in ((30, names[1]), (10, names[4]), (20, names[2])):
        events = [{"timestamp": now_ms + offset, "message": "one"}, {"timestamp": now_ms + offset + 1, "message": "2"}]
        logs.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=events)

    def listed(**params: Any) -> list[str]:
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=GROUP, **params)
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert listed() == names
    assert listed(descending=True, PaginationConfig={"PageSize": 2}) == names[::-1]
    assert listed(logStreamNamePrefix=names[3]) == [names[3]]
    by_time = [names[0], names[3], names[4], names[2], names[1]]
    assert listed(orderBy="LastEventTime") == by_time
    assert listed(orderBy="LastEventTime", descending=True, PaginationConfig={"PageSize": 2}) == by_time[::-1]
    described = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=names[1])["logStreams"][0]
    assert described["firstEventTimestamp"] == now_ms + 30
    assert described["lastEventTimestamp"] == now_ms + 31
    assert described["arn"] == f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}:log-stream:{names[1]}"
    assert described["storedBytes"] == 0
    assert logs.describe_log_groups()["logGroups"][0]["storedBytes"] == 3 * (3 + 1 + 2 * 26)

    logs.delete_log_stream(logGroupName=GROUP, logStreamName=names[1])
    assert listed() == [names[0], *names[2:]]
    assert len(logs.filter_log_events(logGroupName=GROUP)["events"]) == 4
    with pytest.raises(ClientError) as caught:
        logs.delete_log_stream(logGroupName=GROUP, logStreamName=names[1])
    assert refusal(caught) == ("ResourceNotFoundException", "The specified log stream does not exist.")


def test_tags(logs: Any) -> None:
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    with pytest.raises(ClientError) as caught:
        logs.tag_resource(resourceArn=arn, tags={"a": "1"})
    assert refusal(caught)[0] == "ResourceNotFoundException"
    logs.create_log_group(logGroupName=GROUP, tags={"a": "1"})
    logs.tag_resource(resourceArn=arn, tags={"b": "2", "c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["a", "absent"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2", "c": "3"}
    with pytest.raises(ClientError) as caught:
        logs.tag_resource(resourceArn=arn, tags={f"k{number}": "" for number in range(49)})
    assert refusal(caught)[0] == "TooManyTagsException"
