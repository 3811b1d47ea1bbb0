"""Tests with the fixtures that come with Lambent: `pytest examples/tested`, as root."""

from pathlib import Path

HERE = Path(__file__).parent


def test_it_greets(lambent, deploy, logs):
    deploy("greet", HERE)
    answer = lambent.invoke("greet", {"name": "Ada"})
    assert answer.function_error is None
    assert answer.payload == {"message": "Hello, Ada!"}
    assert any("greeting Ada" in line for line in logs("greet"))


def test_a_name_is_needed(lambent, deploy):
    deploy("greet", HERE)
    assert lambent.invoke("greet", {}).payload["errorType"] == "KeyError"


def test_next_month(lambent, deploy, advance):
    deploy("greet", HERE)
    before = lambent.clock("freeze")["epoch_seconds"]
    advance(30 * 86400)
    assert lambent.clock()["epoch_seconds"] == before + 30 * 86400
    assert lambent.invoke("greet", {"name": "Ada"}).function_error is None
