"""Every form of naming a function, and what is refused."""

from __future__ import annotations

import pytest

from lambent.model.arn import FunctionId, parse_function_reference
from lambent.model.errors import ServiceError
from lambent.model.ids import AccountId, Region

ACCOUNT = AccountId("000000000000")
REGION = Region("us-east-1")
ARN = "arn:aws:lambda:us-east-1:000000000000:function:greet"


@pytest.mark.parametrize(
    ("name", "qualifier", "expected"),
    [
        ("greet", None, None),
        ("greet", "3", "3"),
        ("greet:3", None, "3"),
        ("greet:3", "3", "3"),
        ("greet:$LATEST", None, "$LATEST"),
        ("greet:$LATEST.PUBLISHED", None, "$LATEST.PUBLISHED"),
        ("function:greet", None, None),
        ("function:greet:live", None, "live"),
        ("000000000000:function:greet", None, None),
        ("000000000000:greet:live", None, "live"),
        ("us-east-1:000000000000:function:greet", None, None),
        ("arn:aws:lambda:000000000000:function:greet", None, None),
        (ARN, None, None),
        (f"{ARN}:7", None, "7"),
        (f"{ARN}:live", "live", "live"),
    ],
)
def test_every_form_names_the_function(name: str, qualifier: str | None, expected: str | None) -> None:
    found = parse_function_reference(name, qualifier, account=ACCOUNT, region=REGION)
    assert found.function == FunctionId(ACCOUNT, REGION, "greet")
    assert found.qualifier == expected
    assert found.arn == (ARN if expected is None else f"{ARN}:{expected}")


def test_another_account_is_kept() -> None:
    found = parse_function_reference("111122223333:function:greet", None, account=ACCOUNT, region=REGION)
    assert found.function.account == "111122223333"


@pytest.mark.parametrize(
    ("name", "qualifier", "creating", "code", "message"),
    [
        (
            f"{ARN}:1",
            "2",
            False,
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        ),
        (
            ARN.replace("us-east-1", "eu-west-3"),
            None,
            False,
            "ResourceNotFoundException",
            "Functions from 'eu-west-3' are not reachable in this region ('us-east-1')",
        ),
        (ARN.replace("000000000000", "111122223333"), None, True, "AccessDeniedException", ""),
        ("gre et", None, False, "InvalidParameterValueException", "Invalid function name: gre et"),
        ("greet:", None, False, "InvalidParameterValueException", "Invalid function name: greet:"),
    ],
)
def test_refusals(name: str, qualifier: str | None, creating: bool, code: str, message: str) -> None:
    with pytest.raises(ServiceError) as refused:
        parse_function_reference(name, qualifier, account=ACCOUNT, region=REGION, creating=creating)
    assert (refused.value.code, refused.value.message) == (code, message)
