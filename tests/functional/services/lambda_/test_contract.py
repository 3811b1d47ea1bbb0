"""Every operation of the API model, called over the wire: what it takes, what it refuses, what it answers.

Generated from botocore's model, so an operation that AWS adds is tested the day the model has it. Checked of every
answer: the status is the model's, an error is one that the operation declares (or the framework's), every member is in
the model, and no optional member is null or empty unless AWS answers it so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

from lambent.aws.java_regex import compile_java
from lambent.services.lambda_.constraints import OVERRIDES
from lambent.services.lambda_.support import SUPPORT

MODEL: ServiceModel = botocore.session.get_session().get_service_model("lambda")
OPERATIONS = sorted(MODEL.operation_names)
ARN = "arn:aws:lambda:us-east-1:000000000000:"
ROLE = "arn:aws:iam::000000000000:role/r"
FRAMEWORK = {
    "ValidationException": 400,
    "SerializationException": 400,
    "AccessDeniedException": 403,
    "RequestEntityTooLargeException": 413,
}

# Members that AWS answers although they are empty: Description of functions, versions, aliases and layers; what was
# given empty; the sides of a DestinationConfig. Lists of List operations are empty when there is nothing.
MAY_BE_EMPTY = {"Description", "Variables", "OnSuccess", "OnFailure", "SubnetIds", "SecurityGroupIds", "Tags"}

BEYOND_THE_MODEL = {("LastUpdateStatusReasonCode", "Creating")}  # what AWS answers while an update is under way

JSON_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "boolean": (bool,),
    "timestamp": (int, float),
    "double": (int, float),
}

Params = dict[str, Any]
Path = tuple[str, ...]


@dataclass
class Answer:
    """One answer as it came over the wire. `body` is parsed JSON, None if there is none."""

    operation: OperationModel
    status: int
    body: Any
    headers: Mapping[str, str]
    error: Mapping[str, Any] | None


@dataclass
class Caller:
    """Calls operations of the model with anything at all."""

    client: Any
    raw: list[tuple[int, bytes, Mapping[str, str]]] = field(default_factory=list)
    extra: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client.meta.events.register("before-parse.lambda.*", self._seen)
        self.client.meta.events.register("before-call.lambda.*", self._sent)

    def __call__(self, name: str, params: Params) -> Answer:
        self.raw.clear()
        error = None
        try:
            getattr(self.client, botocore.xform_name(name))(**params)
        except ClientError as refused:
            error = refused.response["Error"]
        status, body, headers = self.raw[-1]
        is_json = headers.get("content-type", "").startswith("application/json") and body
        return Answer(MODEL.operation_model(name), status, json.loads(body) if is_json else None, headers, error)

    def _seen(self, response_dict: Any, **_: Any) -> None:
        body = response_dict["body"]
        self.raw.append(
            (response_dict["status_code"], body if isinstance(body, bytes) else b"", response_dict["headers"])
        )

    def _sent(self, params: Any, **_: Any) -> None:
        """Members the model does not know, into the JSON that is sent."""
        body = params["body"]
        if self.extra and isinstance(body, bytes) and body.startswith(b"{"):
            params["body"] = json.dumps(json.loads(body) | self.extra).encode()


@pytest.fixture(scope="module")
def call(start_lambda: Any, make_zip: Callable[..., bytes]) -> Caller:
    """The function `f` exists, with version 1 and the alias `live`."""
    client = start_lambda().client(validate=False)
    client.create_function(
        FunctionName="f",
        Runtime="python3.12",
        Role=ROLE,
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
        Publish=True,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 0.02})
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    return Caller(client)


# ---- valid input


VALUES: dict[str, Any] = {
    "Arn": "arn:aws:sqs:us-east-1:000000000000:queue",
    "Blob": b"{}",
    "BlobStream": b"{}",
    "RoleArn": ROLE,
    "TaggableResource": f"{ARN}function:f",
    "CodeSigningConfigArn": f"{ARN}code-signing-config:csc-0123456789abcdefg",
    "LayerVersionArn": f"{ARN}layer:l:1",
    "CapacityProviderArn": f"{ARN}capacity-provider:c",
    "UUIDString": "00000000-0000-4000-8000-000000000000",
    "Action": "lambda:InvokeFunction",
    "LayerPermissionAllowedAction": "lambda:GetLayerVersion",
    "LayerPermissionAllowedPrincipal": "000000000000",
    "Principal": "s3.amazonaws.com",
    "Alias": "live",
    "Version": "1",
    "VersionWithLatestPublished": "1",
    "PublishedFunctionQualifier": "1",
    "SigningProfileVersionArns": ["arn:aws:signer:us-east-1:000000000000:/signing-profiles/p/abcdefghij"],
    "TagKeyList": ["a"],
    "Tags": {"a": "b"},
}
"""By the name of the shape, where what satisfies the constraints would not be understood."""

FITTING = (
    "f",
    "1",
    "$LATEST",
    f"{ARN}function:f",
    f"{ARN}function:f:1",
    f"{ARN}function:f:1/durable-execution/name/00000000-0000-4000-8000-000000000000",
    f"{ARN}function:f:$LATEST/durable-execution/n/0",
    f"{ARN}runtime/r/version/1",
    "arn:aws:lambda:us-east-1::runtime:1",
    "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
    "00000000-0000-4000-8000-000000000000",
    "o-0123456789",
    "000000000000",
    "host.example.com:9092",
    "us-east-1",
    "2026-01-01T00:00:00Z",
    "subnet-1",
    "sg-1",
    "/mnt/x",
    "a" * 44,
    "QUJD",
)


def valid(shape: Shape, name: str = "") -> Any:
    """The least that satisfies a shape."""
    if shape.name in VALUES:
        return VALUES[shape.name]
    if isinstance(shape, StructureShape):
        return {member: valid(shape.members[member], member) for member in shape.required_members}
    if isinstance(shape, ListShape):
        return [valid(shape.member)] * int(shape.metadata.get("min", 1))
    if isinstance(shape, MapShape):
        return {valid(shape.key): valid(shape.value)}
    if isinstance(shape, StringShape):
        return valid_text(shape)
    return {
        "integer": int(shape.metadata.get("min", 1)),
        "long": int(shape.metadata.get("min", 1)),
        "double": 0.5,
        "float": 0.5,
        "boolean": False,
        "timestamp": 1_700_000_000,
        "blob": b"{}",
    }[shape.type_name]


def valid_text(shape: StringShape) -> str:
    if shape.enum:
        return str(shape.enum[0])
    pattern = shape.metadata.get("pattern")
    compiled = compile_java(pattern) if pattern else None
    lowest, highest = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 1 << 20))
    for text in (*FITTING, "f" * max(lowest, 1)):
        if lowest <= len(text) <= highest and (compiled is None or compiled.fullmatch(text)):
            return text
    raise AssertionError(f"no text fits {shape.name}: {shape.metadata}")


def minimal(operation: OperationModel) -> Params:
    if operation.input_shape is None:
        return {}
    params: Params = valid(operation.input_shape)
    if operation.name == "CreateFunction":
        params |= {"FunctionName": "another", "Runtime": "python3.12", "Handler": "index.handler"}
    return params


# ---- what violates it


@dataclass(frozen=True)
class Violation:
    """A request with one thing wrong, and what the refusal must name (`path` without list indexes)."""

    kind: str
    path: Path
    params: Params


def violations(operation: OperationModel) -> Iterator[Violation]:
    shape = operation.input_shape
    if shape is not None:
        lifted = OVERRIDES.get(operation.name, {})
        yield from _of_structure(shape, minimal(operation), (), lambda params: params, lifted)


Rebuild = Callable[[Any], Params]


def _of_structure(
    shape: StructureShape, base: Params, path: Path, rebuild: Rebuild, lifted: Mapping[str, Any]
) -> Iterator[Violation]:
    if len(path) > 4:
        return
    for name, member in shape.members.items():
        here = (*path, name)
        location = member.serialization.get("location")

        def put(value: Any, name: str = name) -> Params:
            return rebuild({**base, name: value})

        if name in shape.required_members and location != "uri" and not member.serialization.get("streaming"):
            yield Violation("missing", here, rebuild({key: base[key] for key in base if key != name}))
        if ".".join(_lower(part) for part in here) not in lifted:
            for kind, value in wrong_values(member, in_path=location == "uri"):
                yield Violation(kind, here, put(value))
        if isinstance(member, StructureShape):
            yield from _of_structure(member, valid(member), here, put, lifted)
        if isinstance(member, ListShape) and isinstance(member.member, StructureShape):

            def put_in_list(value: Any, put: Rebuild = put) -> Params:
                return put([value])

            yield from _of_structure(member.member, valid(member.member), here, put_in_list, lifted)


def wrong_values(shape: Shape, *, in_path: bool) -> Iterator[tuple[str, Any]]:
    """Values with one thing wrong, and what it is. An empty value in a path would make it another path."""
    lowest, highest = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(shape, StringShape):
        yield from _wrong_texts(shape, lowest if not in_path else None, highest)
    elif shape.type_name in ("integer", "long"):
        if highest is not None:
            yield "high", highest + 1
        if lowest is not None:
            yield "low", lowest - 1
    elif isinstance(shape, ListShape):
        if highest is not None:
            yield "long", [valid(shape.member)] * (highest + 1)
        if lowest:
            yield "short", []
        for kind, value in wrong_values(shape.member, in_path=False):
            yield f"element {kind}", [value]
    elif isinstance(shape, MapShape):
        for kind, value in wrong_values(shape.key, in_path=False):
            yield f"key {kind}", {value: valid(shape.value)}
        for kind, value in wrong_values(shape.value, in_path=False):
            yield f"value {kind}", {valid(shape.key): value}


def _wrong_texts(shape: StringShape, lowest: int | None, highest: int | None) -> Iterator[tuple[str, Any]]:
    if shape.enum:
        yield "enum", "nonesuch"
    pattern = shape.metadata.get("pattern")
    compiled = compile_java(pattern) if pattern else None
    if compiled is not None and compiled.fullmatch("!{ }") is None:
        yield "pattern", "!{ }"
    if highest is not None and highest < 5000:
        yield "long", str(valid(shape)).ljust(highest + 1, "f")
    if lowest:
        yield "short", ""


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


# ---- what every answer must be


def check(answer: Answer) -> None:
    """The contract. An operation that is not offered answers 501 and says its name."""
    operation = answer.operation
    if answer.error is None:
        assert answer.status < 300, answer
        check_output(answer)
        return
    code = answer.error["Code"]
    if answer.status == 501:
        assert operation.name not in SUPPORT, answer
        assert code == "NotImplementedException"
        assert answer.error["Message"] == f"Lambent does not offer lambda:{operation.name} yet"
        return
    assert answer.status < 500, answer
    assert operation.name in SUPPORT, answer
    assert answer.error["Message"] or code == "AccessDeniedException", answer
    declared = {shape.name: shape for shape in operation.error_shapes}
    if code in FRAMEWORK:
        assert answer.status == FRAMEWORK[code], answer
        return
    assert code in declared, f"{code} is not declared by {operation.name}: {answer}"
    assert answer.status == declared[code].metadata["error"]["httpStatusCode"], answer
    assert isinstance(answer.body, dict)
    check_members(declared[code], {name: value for name, value in answer.body.items() if value is not None}, (code,))


def check_output(answer: Answer) -> None:
    operation = answer.operation
    shape = operation.output_shape
    expected = operation.http.get("responseCode", 200)
    if operation.name != "Invoke":  # its status is a member of its output
        assert answer.status == (204 if operation.name == "DeleteFunction" else expected), answer
    if not isinstance(shape, StructureShape) or answer.body is None or "payload" in shape.serialization:
        return
    in_body = {name: member for name, member in shape.members.items() if "location" not in member.serialization}
    assert isinstance(answer.body, dict)
    assert set(answer.body) <= {member.serialization.get("name", name) for name, member in in_body.items()}, answer
    check_members(shape, answer.body, (operation.name,))


def check_members(shape: Shape, value: Any, path: Path) -> None:
    """Only members of the model, none null, none empty that need not be, each within its enumeration."""
    assert value is not None, path
    if isinstance(shape, StructureShape):
        for name, inner in value.items():
            assert name in shape.members, (path, name)
            is_page = path[-1].startswith("List") and len(path) == 1
            if inner in ("", [], {}):
                assert name in MAY_BE_EMPTY or is_page, (*path, name)
            check_members(shape.members[name], inner, (*path, name))
    elif isinstance(shape, ListShape):
        for inner in value:
            check_members(shape.member, inner, path)
    elif isinstance(shape, MapShape):
        for inner in value.values():
            assert inner is not None, path
    elif shape.type_name in JSON_TYPES:
        assert type(value) in JSON_TYPES[shape.type_name], (path, value)
        allowed = getattr(shape, "enum", None)
        assert not allowed or value in allowed or (path[-1], value) in BEYOND_THE_MODEL, (path, value)


# ---- the tests


@pytest.mark.parametrize("name", OPERATIONS)
def test_minimal_valid_input(call: Caller, name: str) -> None:
    params = minimal(MODEL.operation_model(name))
    answer = call(name, params)
    check(answer)
    assert answer.error is None or answer.error["Code"] != "ValidationException", answer.error


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_constraint_violated(call: Caller, name: str) -> None:
    for violation in violations(MODEL.operation_model(name)):
        answer = call(name, violation.params)
        check(answer)
        if answer.status == 501:
            assert name not in SUPPORT
            return
        assert answer.error is not None, violation
        assert answer.error["Code"] == "ValidationException", (violation, answer.error)
        text = answer.error["Message"]
        assert re.match(r"\d+ validation errors? detected: Value", text), (violation, text)
        where = re.findall(r"at '([^']*)' failed to satisfy constraint", text)
        assert any(_is_at(violation.path, one) for one in where), (violation, text)


def _is_at(path: Path, shown: str) -> bool:
    """`filters.1.member.pattern` is at Filters.Pattern; of a map's values the key may follow."""
    parts = [part for part in shown.split(".") if part != "member" and not part.isdecimal()]
    return parts[: len(path)] == [_lower(part) for part in path]


def test_there_are_constraints_to_violate() -> None:
    """Else the test above would pass for want of anything to do."""
    number = sum(1 for name in SUPPORT for _ in violations(MODEL.operation_model(name)))
    assert number > 500
    kinds = {one.kind for one in violations(MODEL.operation_model("CreateEventSourceMapping"))}
    assert {"missing", "enum", "pattern", "long", "short", "high", "low", "key enum", "element enum"} <= kinds


@pytest.mark.parametrize("name", OPERATIONS)
def test_names_of_nothing(call: Caller, name: str) -> None:
    """What a request names does not exist: no failure of the server, and nothing made."""
    operation = MODEL.operation_model(name)
    params = minimal(operation)
    unknown: dict[str, list[str]] = {
        "FunctionName": ["nobody", f"{ARN}function:nobody", "000000000000:function:nobody"],
        "Name": ["nobody"],
        "Qualifier": ["nobody", "99"],
        "LayerName": ["nobody"],
        "Resource": [f"{ARN}function:nobody", f"{ARN}code-signing-config:csc-01234567890123456"],
        "ResourceArn": [f"{ARN}function:nobody"],
        "Marker": ["nowhere", "bm93aGVyZQ==", "é", "?"],
    }
    members = set() if operation.input_shape is None else set(operation.input_shape.members)
    for member in members & set(unknown):
        for value in unknown[member]:
            check(call(name, {**params, member: value}))


@pytest.mark.parametrize("name", OPERATIONS)
def test_members_the_model_does_not_know(call: Caller, name: str) -> None:
    """They change nothing about the answer, as with AWS."""
    params = minimal(MODEL.operation_model(name))
    call.extra = {"Unheard": {"of": [1, None]}, "functionname": "x"}
    try:
        answer = call(name, params)
    finally:
        call.extra = {}
    check(answer)
    assert answer.error is None or answer.error["Code"] != "SerializationException", answer


@pytest.mark.parametrize("name", sorted(set(OPERATIONS) - set(SUPPORT)))
def test_what_is_not_offered_says_so(call: Caller, name: str) -> None:
    assert call(name, minimal(MODEL.operation_model(name))).status == 501


def test_what_there_is_not_in_the_api(call: Caller) -> None:
    import urllib.error
    import urllib.request

    url = call.client.meta.endpoint_url
    for path in ("/2015-03-31/nothing", "/2015-03-31/functions/f/nothing", "/2099-01-01/functions"):
        authorization = "AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/lambda/aws4_request"
        request = urllib.request.Request(url + path, headers={"Authorization": authorization})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as answer:
            assert answer.code == 404
            assert answer.headers["x-amzn-ErrorType"] == "UnknownOperationException"


FULL: list[tuple[str, Params]] = [
    ("UpdateFunctionConfiguration", {"FunctionName": "f", "Environment": {"Variables": {}}, "Description": ""}),
    ("GetFunctionConfiguration", {"FunctionName": "f"}),
    (
        "UpdateFunctionConfiguration",
        {
            "FunctionName": "f",
            "Environment": {"Variables": {"KEY": "value"}},
            "LoggingConfig": {"LogFormat": "JSON"},
            "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-1:000000000000:q"},
            "TracingConfig": {"Mode": "Active"},
            "VpcConfig": {"SubnetIds": []},
        },
    ),
    ("GetFunctionConfiguration", {"FunctionName": "f"}),
    ("PublishVersion", {"FunctionName": "f", "Description": "second"}),
    (
        "CreateAlias",
        {
            "FunctionName": "f",
            "Name": "split",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}},
        },
    ),
    ("UpdateAlias", {"FunctionName": "f", "Name": "split", "Description": "x"}),
    ("ListAliases", {"FunctionName": "f"}),
    ("TagResource", {"Resource": f"{ARN}function:f", "Tags": {"a": ""}}),
    ("ListTags", {"Resource": f"{ARN}function:f"}),
    ("PutFunctionConcurrency", {"FunctionName": "f", "ReservedConcurrentExecutions": 5}),
    ("GetFunctionConcurrency", {"FunctionName": "f"}),
    ("GetFunction", {"FunctionName": "f"}),
    ("GetFunction", {"FunctionName": "f", "Qualifier": "split"}),
    (
        "PutProvisionedConcurrencyConfig",
        {"FunctionName": "f", "Qualifier": "1", "ProvisionedConcurrentExecutions": 1},
    ),
    ("GetProvisionedConcurrencyConfig", {"FunctionName": "f", "Qualifier": "1"}),
    ("ListProvisionedConcurrencyConfigs", {"FunctionName": "f"}),
    ("PutFunctionEventInvokeConfig", {"FunctionName": "f", "MaximumRetryAttempts": 0}),
    ("UpdateFunctionEventInvokeConfig", {"FunctionName": "f", "MaximumEventAgeInSeconds": 60}),
    ("GetFunctionEventInvokeConfig", {"FunctionName": "f"}),
    ("ListFunctionEventInvokeConfigs", {"FunctionName": "f"}),
    ("CreateFunctionUrlConfig", {"FunctionName": "f", "AuthType": "NONE", "Cors": {"MaxAge": 1}}),
    ("UpdateFunctionUrlConfig", {"FunctionName": "f", "InvokeMode": "RESPONSE_STREAM"}),
    ("GetFunctionUrlConfig", {"FunctionName": "f"}),
    ("ListFunctionUrlConfigs", {"FunctionName": "f"}),
    ("ListCodeSigningConfigs", {}),
    ("PutRuntimeManagementConfig", {"FunctionName": "f", "UpdateRuntimeOn": "FunctionUpdate"}),
    ("GetRuntimeManagementConfig", {"FunctionName": "f"}),
    ("PutFunctionRecursionConfig", {"FunctionName": "f", "RecursiveLoop": "Allow"}),
    ("GetFunctionRecursionConfig", {"FunctionName": "f"}),
    (
        "CreateEventSourceMapping",
        {
            "FunctionName": "f:split",
            "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "StartingPosition": "AT_TIMESTAMP",
            "StartingPositionTimestamp": 1_700_000_000.5,
            "FilterCriteria": {"Filters": [{"Pattern": "{}"}]},
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        },
    ),
    ("ListEventSourceMappings", {}),
    (
        "AddPermission",
        {
            "FunctionName": "f",
            "StatementId": "all",
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
            "SourceArn": "arn:aws:s3:::b",
            "SourceAccount": "000000000000",
        },
    ),
    ("GetPolicy", {"FunctionName": "f"}),
    ("GetAccountSettings", {}),
    ("ListFunctions", {"FunctionVersion": "ALL"}),
    ("ListVersionsByFunction", {"FunctionName": "f"}),
    ("Invoke", {"FunctionName": "f", "LogType": "Tail", "Payload": b'{"a": 1}'}),
    ("Invoke", {"FunctionName": "f", "InvocationType": "DryRun"}),
    ("DeleteFunctionUrlConfig", {"FunctionName": "f"}),
    ("DeleteFunctionEventInvokeConfig", {"FunctionName": "f"}),
    ("DeleteProvisionedConcurrencyConfig", {"FunctionName": "f", "Qualifier": "1"}),
    ("DeleteFunctionConcurrency", {"FunctionName": "f"}),
    ("RemovePermission", {"FunctionName": "f", "StatementId": "all"}),
    ("UntagResource", {"Resource": f"{ARN}function:f", "TagKeys": ["a"]}),
    ("DeleteAlias", {"FunctionName": "f", "Name": "split"}),
    ("DeleteFunction", {"FunctionName": "f", "Qualifier": "2"}),
    ("DeleteFunction", {"FunctionName": "f"}),
]


def test_a_whole_life_answers_nothing_but_the_model(start_lambda: Any, make_zip: Callable[..., bytes]) -> None:
    call = Caller(start_lambda().client())
    role = {"Role": ROLE, "Runtime": "python3.12", "Handler": "index.handler"}
    created = call("CreateFunction", {"FunctionName": "f", "Code": {"ZipFile": make_zip()}, "Publish": True, **role})
    check(created)
    signing = call("CreateCodeSigningConfig", {"AllowedPublishers": valid(MODEL.shape_for("AllowedPublishers"))})
    check(signing)
    arn = signing.body["CodeSigningConfig"]["CodeSigningConfigArn"]
    around: list[tuple[str, Params]] = [
        ("UpdateCodeSigningConfig", {"CodeSigningConfigArn": arn, "Description": "d"}),
        ("GetCodeSigningConfig", {"CodeSigningConfigArn": arn}),
        ("PutFunctionCodeSigningConfig", {"CodeSigningConfigArn": arn, "FunctionName": "f"}),
        ("GetFunctionCodeSigningConfig", {"FunctionName": "f"}),
        ("ListFunctionsByCodeSigningConfig", {"CodeSigningConfigArn": arn}),
        ("DeleteFunctionCodeSigningConfig", {"FunctionName": "f"}),
        ("DeleteCodeSigningConfig", {"CodeSigningConfigArn": arn}),
    ]
    for name, params in [*around, *FULL]:
        answer = call(name, params)
        assert answer.error is None, (name, params, answer.error)
        check(answer)


# ---- paginators and waiters


def paginated(client: Any, make_zip: Callable[..., bytes]) -> dict[str, tuple[Params, str, Callable[[Any], str]]]:
    """For each list operation: parameters, the member that lists, and what names an element. Three of everything."""
    made: list[Params] = [{"FunctionName": name, "Code": {"ZipFile": make_zip()}} for name in ("p-1", "p-2", "p-3")]
    for one in made:
        client.create_function(**one, Role=ROLE, Runtime="python3.12", Handler="index.handler", Publish=True)
    publishers = {"SigningProfileVersionArns": VALUES["SigningProfileVersionArns"]}
    configs = [client.create_code_signing_config(AllowedPublishers=publishers) for _ in made]
    arn = configs[0]["CodeSigningConfig"]["CodeSigningConfigArn"]
    for index, one in enumerate(made):
        function, qualifier = one["FunctionName"], f"a-{index}"
        client.put_function_code_signing_config(FunctionName=function, CodeSigningConfigArn=arn)
        client.create_event_source_mapping(FunctionName=function, EventSourceArn=VALUES["Arn"])
        client.create_alias(FunctionName="p-1", Name=qualifier, FunctionVersion="1")
        client.put_function_event_invoke_config(FunctionName="p-1", Qualifier=qualifier, MaximumRetryAttempts=1)
        client.create_function_url_config(FunctionName="p-1", Qualifier=qualifier, AuthType="NONE")
        client.put_provisioned_concurrency_config(
            FunctionName="p-1", Qualifier=qualifier, ProvisionedConcurrentExecutions=1
        )
        client.update_function_configuration(FunctionName="p-1", Description=qualifier)
        client.get_waiter("function_updated_v2").wait(FunctionName="p-1", WaiterConfig={"Delay": 0.02})
        client.publish_version(FunctionName="p-1")
        if "PublishLayerVersion" in SUPPORT:
            for layer in ("l-0", f"l-{index}"):
                client.publish_layer_version(LayerName=layer, Content={"ZipFile": make_zip(str(index))})
    function = {"FunctionName": "p-1"}
    return {
        "ListFunctions": ({}, "Functions", lambda one: one["FunctionArn"]),
        "ListVersionsByFunction": (function, "Versions", lambda one: one["Version"]),
        "ListAliases": (function, "Aliases", lambda one: one["Name"]),
        "ListCodeSigningConfigs": ({}, "CodeSigningConfigs", lambda one: one["CodeSigningConfigArn"]),
        "ListFunctionsByCodeSigningConfig": ({"CodeSigningConfigArn": arn}, "FunctionArns", str),
        "ListEventSourceMappings": ({}, "EventSourceMappings", lambda one: one["UUID"]),
        "ListFunctionEventInvokeConfigs": (function, "FunctionEventInvokeConfigs", lambda one: one["FunctionArn"]),
        "ListFunctionUrlConfigs": (function, "FunctionUrlConfigs", lambda one: one["FunctionArn"]),
        "ListProvisionedConcurrencyConfigs": (
            function,
            "ProvisionedConcurrencyConfigs",
            lambda one: one["FunctionArn"],
        ),
        "ListLayers": ({}, "Layers", lambda one: one["LayerName"]),
        "ListLayerVersions": ({"LayerName": "l-0"}, "LayerVersions", lambda one: str(one["Version"])),
    }


def test_every_paginator_finds_all_of_it_once(start_lambda: Any, make_zip: Callable[..., bytes]) -> None:
    client = start_lambda().client()
    known = paginated(client, make_zip)
    for name in OPERATIONS:
        method = botocore.xform_name(name)
        if not client.can_paginate(method) or name not in SUPPORT:
            continue
        params, member, identify = known[name]
        everything = [identify(one) for one in getattr(client, method)(**params)[member]]
        assert len(everything) >= 3, name
        for size in (1, 2, len(everything), 50):
            pages = list(client.get_paginator(method).paginate(**params, PaginationConfig={"PageSize": size}))
            assert [identify(one) for page in pages for one in page[member]] == everything, (name, size)
            assert len(pages) == -(-len(everything) // size), (name, size)
            assert all(page.get("NextMarker") != "" for page in pages)
        resumed = client.get_paginator(method).paginate(**params, PaginationConfig={"MaxItems": 2, "PageSize": 1})
        assert len([one for page in resumed for one in page[member]]) == 2


@pytest.mark.parametrize("name", botocore.session.get_session().get_waiter_model("lambda").waiter_names)
def test_every_waiter_ends(start_lambda: Any, make_zip: Callable[..., bytes], name: str) -> None:
    client = start_lambda().client()
    client.create_function(
        FunctionName="w",
        Role=ROLE,
        Runtime="python3.12",
        Handler="index.handler",
        Code={"ZipFile": make_zip()},
        Publish=True,
    )
    waiter = client.get_waiter(botocore.xform_name(name))
    soon = {"Delay": 0.02, "MaxAttempts": 100}
    waiter.wait(FunctionName="w", WaiterConfig=soon)
    waiter.wait(FunctionName="w", Qualifier="1", WaiterConfig=soon)
    client.update_function_configuration(FunctionName="w", Description="new")
    waiter.wait(FunctionName="w", WaiterConfig=soon)
    found = client.get_function_configuration(FunctionName="w")
    assert found["State"] == "Active"
    if "updated" in name.lower():
        assert found["LastUpdateStatus"] == "Successful"
