from __future__ import annotations

import subprocess
import sys

import pytest

from lambent.aws.models import UnknownServiceError, load_service_model
from lambent.aws.service import CompiledService, ServiceDefinition


def test_starting_an_endpoint_neither_imports_botocore_nor_reads_a_model() -> None:
    """Both would cost more than everything else the server does at its start."""
    program = (
        "import sys, lambent.aws.chain as chain, lambent.aws.models as models\n"
        "from lambent.aws.service import ServiceDefinition\n"
        "endpoint = chain.AwsEndpoint([ServiceDefinition('lambda', {})], None, region='r', account='a')\n"
        "assert models.load_service_model.cache_info().currsize == 0\n"
        "endpoint.preload()\n"
        "assert models.load_service_model.cache_info().currsize == 1\n"
        "assert not [name for name in sys.modules if name.startswith('botocore')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_newest_version_of_a_service_is_read() -> None:
    model = load_service_model("lambda")  # there is a 2014-11-11 too
    assert model.api_version == "2015-03-31"
    assert model.operations["CreateFunction"].status == 201
    assert model is load_service_model("lambda")


def test_errors_are_found_by_shape_and_by_code() -> None:
    model = load_service_model("iam")
    found = model.error("NoSuchEntity")
    assert found is not None
    assert found is model.error("NoSuchEntityException")
    assert (found.code, found.status, found.message_member) == ("NoSuchEntity", 404, "message")
    assert model.error("Nonsense") is None


@pytest.mark.parametrize("name", ["nonsense", "../../etc", ""])
def test_unknown_services(name: str) -> None:
    with pytest.raises(UnknownServiceError):
        load_service_model(name)


def test_a_service_whose_protocols_we_do_not_speak_is_said_to_be_so() -> None:
    with pytest.raises(NotImplementedError, match="s3 speaks none of rest-json, json, query"):
        _ = CompiledService(ServiceDefinition("s3", {})).protocols
