"""schemathesis makes requests of what OpenAPI describes: every answer is one that is described.

It is no part of the extra `dev`: pip install -c constraints.txt schemathesis
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from labelweave.serving._service import Limits, make_app

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
EXAMPLES = 40


def check(operation: Any) -> None:
    """Raise where an answer to a made request is not described, or is a server's error."""

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def answered(case: Any) -> None:
        # no schema says that shape and number of values must agree, or what a CSV or an image is
        loose = operation.path.endswith("/infer") or case.media_type != "application/json"
        loose = loose or "image" in str(case.body)
        case.call_and_validate(excluded_checks=[checks.positive_data_acceptance] * loose)

    answered()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["network", "pictures_model"])
def test_every_answer_is_one_that_is_described(model: str, request: pytest.FixtureRequest) -> None:
    app = make_app(request.getfixturevalue(model), keys=(), limits=Limits(batch_seconds=0))
    described = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [each.ok() for each in described.get_all_operations()]
    assert len(operations) > 8
    for operation in operations:
        check(operation)
