from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambent.aws.models import load_service_model
from lambent.aws.routing import RouteTable, host_labels, signing_scope
from lambent.http.messages import Headers, RequestHead

FUNCTIONS = "/2015-03-31/functions"


@pytest.fixture(scope="module")
def lambda_routes() -> RouteTable:
    model = load_service_model("lambda")
    return RouteTable((one.name, one.method, one.uri) for one in model.operations.values())


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("POST", f"{FUNCTIONS}/f/invocations", "", ("Invoke", {"FunctionName": "f"})),
        ("GET", FUNCTIONS, "MaxItems=1", ("ListFunctions", {})),
        ("GET", f"{FUNCTIONS}/", "", ("ListFunctions", {})),
        ("GET", f"{FUNCTIONS}/f", "", ("GetFunction", {"FunctionName": "f"})),
        ("GET", f"{FUNCTIONS}/f/", "", ("GetFunction", {"FunctionName": "f"})),
        (
            "GET",
            f"{FUNCTIONS}/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af%3A%24LATEST",
            "",
            ("GetFunction", {"FunctionName": "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST"}),
        ),
        ("GET", f"{FUNCTIONS}/a%2Fb%252F", "", ("GetFunction", {"FunctionName": "a/b%2F"})),
        ("GET", f"{FUNCTIONS}/f/aliases/a", "", ("GetAlias", {"FunctionName": "f", "Name": "a"})),
        ("GET", "/2018-10-31/layers", "find=LayerVersion&Arn=x", ("GetLayerVersionByArn", {})),
        ("GET", "/2018-10-31/layers", "Marker=find", ("ListLayers", {})),
        (
            "GET",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "List=ALL",
            ("ListProvisionedConcurrencyConfigs", {"FunctionName": "f"}),
        ),
        (
            "GET",
            "/2019-09-30/functions/f/provisioned-concurrency",
            "Qualifier=1",
            ("GetProvisionedConcurrencyConfig", {"FunctionName": "f"}),
        ),
        ("PATCH", FUNCTIONS, "", None),
        ("GET", f"{FUNCTIONS}//code", "", None),
        ("GET", "/", "", None),
        ("GET", "", "", None),
        ("GET", "*", "", None),
        ("GET", "/2015-03-31/nonsense", "", None),
    ],
)
def test_paths_of_lambda(
    lambda_routes: RouteTable, method: str, path: str, query: str, expected: tuple[str, dict[str, str]] | None
) -> None:
    assert lambda_routes.match(method, path, query) == expected


def test_a_literal_wins_over_a_label_and_a_label_is_tried_where_the_literal_leads_nowhere() -> None:
    routes = RouteTable([("A", "GET", "/x/{Name}/end"), ("B", "GET", "/x/special/other"), ("C", "GET", "/x/special")])
    assert routes.match("GET", "/x/special/other", "") == ("B", {})
    assert routes.match("GET", "/x/special/end", "") == ("A", {"Name": "special"})
    assert routes.match("GET", "/x/special", "") == ("C", {})


def test_greedy_labels_take_what_they_can() -> None:
    routes = RouteTable(
        [("Get", "GET", "/{Bucket}/{Key+}"), ("Tags", "GET", "/t/{Arn+}/tags"), ("List", "GET", "/{Bucket}")]
    )
    assert routes.match("GET", "/b/a/c%2Fd", "") == ("Get", {"Bucket": "b", "Key": "a/c/d"})
    assert routes.match("GET", "/t/a/b/tags", "") == ("Tags", {"Arn": "a/b"})
    assert routes.match("GET", "/b", "") == ("List", {"Bucket": "b"})


@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "X"]), path=st.text(), query=st.text())
def test_any_path_is_answered(method: str, path: str, query: str) -> None:
    model = load_service_model("lambda")
    routes = RouteTable((one.name, one.method, one.uri) for one in model.operations.values())
    for prefix in ("", "/", f"{FUNCTIONS}/"):
        found = routes.match(method, prefix + path, query)
        assert found is None or found[0] in model.operations


def head(query: str = "", **headers: str) -> RequestHead:
    return RequestHead("POST", "/", "/", query, Headers(tuple((k.replace("_", "-"), v) for k, v in headers.items())))


def test_the_scope_of_a_signed_and_of_a_presigned_request() -> None:
    signed = "AWS4-HMAC-SHA256 Credential=AKID/20261123/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0"
    assert signing_scope(head(authorization=signed)) == ("eu-west-1", "lambda")
    assert signing_scope(head(authorization=signed.replace(", ", ","))) == ("eu-west-1", "lambda")
    query = "Action=GetCallerIdentity&X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=0"
    assert signing_scope(head(query)) == ("us-east-1", "sts")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=", "Credential=a/b,", "Basic Og=="]
)
def test_what_is_no_scope(authorization: str) -> None:
    assert signing_scope(head(authorization=authorization)) is None
    assert signing_scope(head()) is None


def test_host_labels() -> None:
    assert host_labels(head(host="Lambda.us-east-1.localhost:4566")) == ["lambda", "us-east-1", "localhost"]
    assert host_labels(head()) == [""]
