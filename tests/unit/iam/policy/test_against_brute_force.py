"""The evaluator against a second one, written apart from it: no compiled patterns, no shared code, one thing at a time.

Wildcards are matched by trying every way; policies are interpreted from their JSON; the kinds of policies are put
together as the flow chart of the IAM user guide draws it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lambent.iam.policy.document import parse_policy
from lambent.iam.policy.evaluation import AccessRequest, PolicySet, decide
from lambent.iam.policy.subjects import Subject

Json = dict[str, Any]
Keys = Mapping[str, tuple[str, ...]]


# ---- the second implementation


def like(pattern: list[str], value: str) -> bool:
    """Tokens (characters; MANY and ONE are wildcards) against a value."""
    if not pattern:
        return value == ""
    first, rest = pattern[0], pattern[1:]
    if first == "MANY":
        return any(like(rest, value[skipped:]) for skipped in range(len(value) + 1))
    return value != "" and first in ("ONE", value[0]) and like(rest, value[1:])


def tokens(text: str, keys: Keys, variables: bool, wildcards: bool = True) -> list[str] | None:
    """A policy value as tokens; None if a variable has no value."""
    found: list[str] = []
    at = 0
    while at < len(text):
        end = text.find("}", at)
        if variables and text.startswith("${", at) and end > 0:
            inner = text[at + 2 : end]
            at = end + 1
            if inner in ("*", "?", "$"):
                found.append(inner)
                continue
            name, comma, default = inner.partition(",")
            values = keys.get(name.strip().lower(), ())
            if len(values) == 1:
                found += list(values[0])
            elif comma:
                found += list(default.strip()[1:-1])
            else:
                return None
            continue
        found.append({"*": "MANY", "?": "ONE"}.get(text[at], text[at]) if wildcards else text[at])
        at += 1
    return found


def split(items: list[str]) -> list[list[str]]:
    """Into the six parts of an ARN, or fewer."""
    parts: list[list[str]] = [[]]
    for item in items:
        if item == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(item)
    return parts


def arn_like(pattern: list[str], value: str, reaches_on: bool) -> bool:
    patterns, values = split(pattern), value.split(":", 5)
    if reaches_on and len(patterns) < 6 and pattern and pattern[-1] == "MANY":
        head, rest = values[: len(patterns) - 1], ":".join(values[len(patterns) - 1 :])
        if len(values) < len(patterns):
            return False
        return all(map(lambda p, v: like(p, v), patterns[:-1], head)) and like(patterns[-1], rest)
    return len(patterns) == len(values) and all(like(p, v) for p, v in zip(patterns, values, strict=True))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return number(text)


def compares(relation: str, left: float | None, right: float | None) -> bool:
    if left is None or right is None:
        return False
    return {
        "Equals": left == right,
        "LessThan": left < right,
        "LessThanEquals": left <= right,
        "GreaterThan": left > right,
        "GreaterThanEquals": left >= right,
    }[relation]


def one_matches(operator: str, actual: str, wanted: str, keys: Keys, variables: bool) -> bool:
    """The operator without Not, IfExists and sets, on one value of each."""
    if operator.startswith(("String", "Arn")):
        exact = operator in ("StringEquals", "StringEqualsIgnoreCase")
        items = tokens(wanted, keys, variables, wildcards=not exact)
        if items is None:
            return False
        if operator == "StringEqualsIgnoreCase":
            return actual.lower() == "".join(items).lower()
        if operator == "StringEquals":
            return actual == "".join(items)
        if operator == "StringLike":
            return like(items, actual)
        return actual.count(":") > 4 and (wanted == "*" or arn_like(items, actual, reaches_on=False))
    if operator.startswith("Numeric"):
        return compares(operator.removeprefix("Numeric"), number(actual), number(wanted))
    if operator.startswith("Date"):
        return compares(operator.removeprefix("Date"), moment(actual), moment(wanted))
    if operator == "IpAddress":
        try:
            return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
        except ValueError:
            return False
    assert operator == "Bool"
    return actual.lower() == wanted.lower()


def condition_holds(operator: str, key: str, wanted: Any, keys: Keys, variables: bool) -> bool:
    actual = keys.get(key.lower(), ())
    wanted = [str(one) for one in listed(wanted)]
    quantifier, _, name = operator.rpartition(":")
    if name == "Null":
        return ("true" in wanted and not actual) or ("false" in wanted and bool(actual))
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    negated = "Not" in name
    name = name.replace("Not", "")
    if not actual:
        return if_exists or quantifier == "ForAllValues" or (negated and quantifier == "")
    passes = [(any(one_matches(name, value, one, keys, variables) for one in wanted)) != negated for value in actual]
    if quantifier == "ForAllValues":
        return all(passes)
    if quantifier == "ForAnyValue":
        return any(passes)
    return all(passes) if negated else any(passes)


def applies(statement: Json, variables: bool, action: str, resource: str, keys: Keys) -> bool:
    actions = listed(statement.get("Action", statement.get("NotAction")))
    is_named = any(like(tokens(one.lower(), {}, False) or [], action.lower()) for one in actions)
    if is_named == ("NotAction" in statement):
        return False
    if "Resource" in statement or "NotResource" in statement:
        found = False
        for one in listed(statement.get("Resource", statement.get("NotResource"))):
            items = tokens(one, keys, variables)
            found = found or one == "*" or (items is not None and arn_like(items, resource, reaches_on=True))
        if found == ("NotResource" in statement):
            return False
    return all(
        condition_holds(operator, key, wanted, keys, variables)
        for operator, tests in statement.get("Condition", {}).items()
        for key, wanted in tests.items()
    )


def effects(documents: Sequence[Json], action: str, resource: str, keys: Keys) -> list[Json]:
    return [
        statement
        for document in documents
        for statement in document["Statement"]
        if applies(statement, document.get("Version") == "2012-10-17", action, resource, keys)
    ]


USER = Subject("arn:aws:iam::111111111111:user/u", "111111111111", "AIDAU")
SESSION = Subject("arn:aws:sts::111111111111:assumed-role/r/s", "111111111111", "AROAR", role="r")
ROLE_ARN = "arn:aws:iam::111111111111:role/r"
SERVICE = Subject("events.amazonaws.com", service="events.amazonaws.com")


def named(statement: Json, subject: Subject) -> set[str]:
    """As what a statement names somebody."""
    if statement["Principal"] == "*":
        return {"anyone"}
    names = set()
    for kind, values in statement["Principal"].items():
        for value in listed(values):
            if kind == "Service":
                names |= {"exactly"} if value == subject.service else set()
            elif value == "*":
                names.add("anyone")
            elif subject.service is None and value in ("111111111111", "arn:aws:iam::111111111111:root"):
                names.add("account")
            elif value == subject.arn:
                names.add("exactly")
            elif value == ROLE_ARN and subject is SESSION:
                names.add("role")
    return names


def second_opinion(
    subject: Subject,
    account: str,
    identity: list[Json],
    boundary: list[Json] | None,
    session: list[Json] | None,
    on_resource: list[Json],
    request: tuple[str, str, Keys],
) -> str:
    """allowed, explicitDeny or implicitDeny."""
    by_identity = effects(identity, *request)
    by_boundary = effects(boundary or [], *request)
    by_session = effects(session or [], *request)
    by_resource = [one for one in effects(on_resource, *request) if named(one, subject)]
    if any(one["Effect"] == "Deny" for one in (*by_identity, *by_boundary, *by_session, *by_resource)):
        return "explicitDeny"
    names = {name for one in by_resource for name in named(one, subject)}
    if subject.account is None:
        return "allowed" if names else "implicitDeny"
    bounded = (boundary is None or bool(by_boundary)) and (session is None or bool(by_session))
    if account != subject.account:
        return "allowed" if names and by_identity and bounded else "implicitDeny"
    if "exactly" in names:
        return "allowed"
    granted = by_identity or names & {"role", "anyone"}
    return "allowed" if granted and bounded else "implicitDeny"


# ---- what is generated: few letters, so that things meet

VALUE = st.text("ab:*", max_size=5)
SEGMENT = st.text("ab*?", max_size=3)
VARIABLE = st.sampled_from(["${k}", "${l, 'b'}", "${*}", "${?}", "${$}", "${K}", "${l}"])
PIECES = st.lists(st.one_of(SEGMENT, VARIABLE), min_size=1, max_size=3).map("".join)
ARN_VALUES = st.tuples(*[st.sampled_from(["a", "b", "ab", ""])] * 3, st.sampled_from(["a", "a:b", "b/a", ""])).map(
    lambda parts: f"arn:{':'.join(parts[:3])}:1:{parts[3]}"
)
ARN_PATTERNS = st.one_of(
    st.just("*"),
    st.tuples(PIECES, PIECES, SEGMENT, PIECES).map(lambda p: f"arn:{p[0]}:{p[1]}:{p[2]}:1:{p[3]}"),
    st.sampled_from(["arn:*", "arn:a:*", "arn:a:b:*", "arn:*:*:*:*:*", "arn:a:*:*:1:a:?", "*:*"]),
)
ACTIONS = st.sampled_from(["a:x", "A:X", "a:*", "*", "b:?", "a:y", "*:x"])
STRINGS = ("StringEquals", "StringEqualsIgnoreCase", "StringLike")
NEGATABLE = {
    **dict.fromkeys(STRINGS, PIECES),
    "ArnLike": ARN_PATTERNS,
    "ArnEquals": ARN_PATTERNS,
    "IpAddress": st.sampled_from(["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "x"]),
    "NumericEquals": st.sampled_from(["1", "1.0", "10", "-2", "x"]),
    "DateEquals": st.sampled_from(["2020-01-01T00:00:00Z", "1577836800", "2021-01-01", "x"]),
}
RELATIONS = ("LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
OPERATORS = {
    **NEGATABLE,
    **{f"{name[:6]}Not{name[6:]}" if name.startswith("String") else
       {"ArnLike": "ArnNotLike", "ArnEquals": "ArnNotEquals", "IpAddress": "NotIpAddress",
        "NumericEquals": "NumericNotEquals", "DateEquals": "DateNotEquals"}[name]: values
       for name, values in NEGATABLE.items()},
    **{f"Numeric{name}": NEGATABLE["NumericEquals"] for name in RELATIONS},
    **{f"Date{name}": st.sampled_from(["2020-01-01T00:00:00Z", "1577836800", "2021-06-01T00:00:00Z"])
       for name in RELATIONS},
    "Bool": st.sampled_from(["true", "false", "TRUE"]),
    "Null": st.sampled_from(["true", "false"]),
}  # fmt: skip
ACTUAL = st.one_of(
    VALUE,
    ARN_VALUES,
    st.sampled_from(
        ["10.1.2.3", "192.168.0.1", "2001:db8::1", "1", "10", "true", "False", "2020-01-01T00:00:00Z", "1600000000"]
    ),
)
KEYS = st.dictionaries(st.sampled_from(["k", "l", "m"]), st.lists(ACTUAL, max_size=2).map(tuple), max_size=3)


@st.composite
def conditions(draw: st.DrawFn) -> Json:
    block: Json = {}
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        name = draw(st.sampled_from(sorted(OPERATORS)))
        values = draw(st.lists(OPERATORS[name], min_size=1, max_size=2))
        quantifier = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"])) if name != "Null" else ""
        suffix = draw(st.sampled_from(["", "", "IfExists"])) if name != "Null" else ""
        key = draw(st.sampled_from(["k", "l", "M"]))
        block[f"{quantifier}{name}{suffix}"] = {key: values[0] if len(values) == 1 and draw(st.booleans()) else values}
    return block


@st.composite
def statements(draw: st.DrawFn, principals: bool = False) -> Json:
    statement: Json = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Allow", "Deny"]))}
    statement[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(
        st.lists(ACTIONS, min_size=1, max_size=2)
    )
    named_ = draw(st.lists(ARN_PATTERNS, min_size=1, max_size=2))
    statement[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = named_
    block = draw(conditions())
    if block:
        statement["Condition"] = block
    if principals:
        statement["Principal"] = draw(
            st.sampled_from(
                [
                    "*", {"AWS": "*"}, {"AWS": "111111111111"}, {"AWS": [ROLE_ARN]}, {"AWS": USER.arn},
                    {"AWS": ["999999999999", SESSION.arn]}, {"Service": "events.amazonaws.com"},
                    {"Service": "s3.amazonaws.com", "AWS": "arn:aws:iam::111111111111:root"},
                ]
            )
        )  # fmt: skip
    return statement


def documents(principals: bool = False) -> st.SearchStrategy[list[Json]]:
    version = st.sampled_from([{"Version": "2012-10-17"}, {"Version": "2012-10-17"}, {}])
    document = st.builds(
        lambda v, s: v | {"Statement": s}, version, st.lists(statements(principals), min_size=1, max_size=2)
    )
    return st.lists(document, max_size=2)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    subject=st.sampled_from([USER, SESSION, SERVICE]),
    account=st.sampled_from(["111111111111", "111111111111", "222222222222"]),
    identity=documents(),
    boundary=st.one_of(st.none(), documents()),
    session=st.one_of(st.none(), documents()),
    on_resource=documents(principals=True),
    action=st.sampled_from(["a:x", "a:y", "b:x"]),
    resource=ARN_VALUES,
    keys=KEYS,
)
def test_both_evaluators_agree(
    subject: Subject,
    account: str,
    identity: list[Json],
    boundary: list[Json] | None,
    session: list[Json] | None,
    on_resource: list[Json],
    action: str,
    resource: str,
    keys: Keys,
) -> None:
    expected = second_opinion(subject, account, identity, boundary, session, on_resource, (action, resource, keys))
    policies = PolicySet(
        [parse_policy(one) for one in identity],
        None if boundary is None else [parse_policy(one) for one in boundary],
        None if session is None else [parse_policy(one) for one in session],
        [parse_policy(one) for one in on_resource],
    )
    decision = decide(AccessRequest(subject, action, resource, keys, account), policies)
    assert decision.effect.value == expected


@settings(max_examples=400, deadline=None)
@given(block=conditions(), keys=KEYS, variables=st.booleans())
def test_both_agree_on_conditions(block: Json, keys: Keys, variables: bool) -> None:
    document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": block}]}
    if variables:
        document["Version"] = "2012-10-17"  # type: ignore[assignment]
    (statement,) = parse_policy(document).statements
    expected = all(
        condition_holds(operator, key, wanted, keys, variables)
        for operator, tests in block.items()
        for key, wanted in tests.items()
    )
    assert statement.holds(keys) is expected


@settings(max_examples=120, deadline=None)
@given(
    documents_=documents(), more=statements(), action=st.sampled_from(["a:x", "b:x"]), resource=ARN_VALUES, keys=KEYS
)
def test_a_denial_can_only_take_away(
    documents_: list[Json], more: Json, action: str, resource: str, keys: Keys
) -> None:
    """Whatever else is said: another Deny never allows, and with boundary or session policies nobody may more."""
    request = AccessRequest(USER, action, resource, keys)
    before = [parse_policy(one) for one in documents_]
    denying = parse_policy({"Version": "2012-10-17", "Statement": [more | {"Effect": "Deny"}]})
    plain = decide(request, PolicySet(before)).allowed
    assert decide(request, PolicySet([*before, denying])).allowed <= plain
    narrowed = parse_policy({"Version": "2012-10-17", "Statement": [more]})
    assert decide(request, PolicySet(before, boundary=[narrowed])).allowed <= plain
    assert decide(request, PolicySet(before, session=[narrowed])).allowed <= plain
    assert not decide(request, PolicySet(before, boundary=[])).allowed


@pytest.mark.parametrize("empty", [[], [{"Statement": []}]])
def test_nothing_allows_nothing(empty: list[Json]) -> None:
    policies = PolicySet([parse_policy(one) for one in empty])
    assert decide(AccessRequest(USER, "a:x", "*"), policies).effect.value == "implicitDeny"
