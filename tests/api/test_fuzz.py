"""A bounded fuzz of our own description: no 5xx and no undocumented answer on any route."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from settld.api.discovery import description
from settld.wsgi import application
from tests.support.api import OPS_TOKEN

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES_PER_OPERATION = 12


def operations():
    schema = schemathesis.openapi.from_dict(description())
    schema.app = application
    for result in schema.get_all_operations():
        operation = result.ok()
        yield pytest.param(operation, id=f"{operation.method.upper()} {operation.path}")


@pytest.mark.slow
@pytest.mark.parametrize("operation", list(operations()))
def test_every_answer_is_documented_and_none_is_a_server_error(operation, live_db, api):
    headers = {"x-proxy-ops-token": OPS_TOKEN, "x-proxy-tenant-id": "tenant_a"}

    @settings(
        max_examples=EXAMPLES_PER_OPERATION,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @schemathesis_cases(operation)
    def probe(case):
        case.call_and_validate(headers=headers, checks=CHECKS)

    probe()


def schemathesis_cases(operation):
    """Feed a test with cases of one operation, well-formed and malformed."""
    from hypothesis import given
    from hypothesis import strategies as st
    from schemathesis.generation import GenerationMode

    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )
    return given(case=cases)
