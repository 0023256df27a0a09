"""The whole OpenAPI description against the API, as every role and as nobody: what is answered is what is described."""

import asyncio
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.integration.api.people import bearer, token_for
from tests.integration.api.scenario import Scenario
from tests.integration.api.test_auth import OPEN_PATHS

from tradepulse.api.app import create_app
from tradepulse.domain.users import Role
from tradepulse.shared.settings import ApiSettings, Settings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 2

app = create_app(Scenario().services, settings=Settings(api=ApiSettings(names=("testserver",))), static=Path("nowhere"))
schema = schemathesis.openapi.from_asgi("/openapi.json", app)
# Methods that there are not would be most of what is tried.
schema.config.phases.coverage.unexpected_methods = set()
few = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("role", list(Role))
@schema.parametrize()
@few
def test_answers_to_each_role_are_as_described(case: schemathesis.Case, role: Role) -> None:
    # Each time another session: some of what is tried ends it.
    case.call_and_validate(headers=bearer(asyncio.run(token_for(app, role))), checks=CHECKS)


@schema.parametrize()
@few
def test_answers_to_nobody_are_refusals(case: schemathesis.Case) -> None:
    answer = case.call_and_validate(checks=CHECKS)
    if case.operation.path not in OPEN_PATHS:
        # 400 and 422: what cannot be read at all is refused before anybody is asked for a name.
        assert answer.status_code in (400, 401, 422), answer.text
