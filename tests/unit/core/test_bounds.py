"""Every number of a study file and of an option has both bounds in the schema."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from labelweave._options import Options
from labelweave.experiments._config import StudyConfig
from labelweave.training import TrainingConfig

LEAST, MOST = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}


def unbounded(schema: Any, place: str = "") -> Iterator[str]:
    """Give the places of numbers that lack a bound."""
    if isinstance(schema, dict):
        number = schema.get("type") in ("integer", "number") and "enum" not in schema
        if number and not (LEAST & schema.keys() and MOST & schema.keys()):
            yield place
        for key, value in schema.items():
            yield from unbounded(value, f"{place}/{key}")
    elif isinstance(schema, list):
        for i, value in enumerate(schema):
            yield from unbounded(value, f"{place}/{i}")


def below(kind: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Give the classes that inherit from one."""
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


OPTIONS = [each for each in below(Options) if each.__module__.startswith("labelweave.")]


def test_a_number_without_bounds_is_found() -> None:
    class Loose(BaseModel):
        sizes: list[int] = []

    assert list(unbounded(Loose.model_json_schema())) == ["/properties/sizes/items"]


@pytest.mark.parametrize(
    "kind", [StudyConfig, TrainingConfig, *OPTIONS], ids=lambda kind: kind.__name__
)
def test_every_number_has_both_bounds(kind: type[BaseModel]) -> None:
    assert list(unbounded(kind.model_json_schema())) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"seeds": 1_000_000_000}, "found more than 1,000 seeds"),
        ({"statistics": {"replicates": 10**12}}, "less than or equal to 1000000"),
        ({"training": {"steps": 10**21}}, "found a number above 2^63|less than or equal to"),
        ({"training": {"steps": 10**12}}, "less than or equal to 100000000"),
        ({"network": {"hidden": [10**9]}}, "less than or equal to 65536"),
        ({"network": {"hidden": [8] * 101}}, "at most 100 items"),
        ({"split": {"test": 10**12}}, "expected a share below 1 or a whole number of rows"),
        ({"label_curves": {"shares": [0.5] * 101}}, "at most 100 items"),
        ({"prices": {"label": {"kind": 1e300}}}, "expected 0 to 1e"),
    ],
)
def test_numbers_without_reason_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("^", r"\^")):
        StudyConfig.model_validate({"name": "n", **content})
