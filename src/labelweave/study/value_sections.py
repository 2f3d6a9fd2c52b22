"""The sections of a study file on what labels and running cost."""

from typing import Self

from pydantic import Field, field_validator, model_validator

from labelweave.study.section import Section


class PricesSection(Section):
    """Prices; without one the report counts and names no money.

    Attributes:
        currency: what the prices are in.
        label: by task the price of one row's label.
        hour: the price of an hour of the machine that predicts; needs `predictions_a_year`.
        predictions_a_year: rows to predict in a year; needs `hour`.
    """

    currency: str = Field(default="EUR", min_length=1)
    label: dict[str, float] = Field(default={})
    hour: float | None = Field(default=None, ge=0)
    predictions_a_year: float | None = Field(default=None, ge=0)

    @field_validator("label")
    @classmethod
    def _not_negative(cls, label: dict[str, float]) -> dict[str, float]:
        for task, price in label.items():
            if price < 0:
                raise ValueError(f"found the price {price} for '{task}', expected 0 or more")
        return label

    @model_validator(mode="after")
    def _running(self) -> Self:
        keys = ("hour", "predictions_a_year")
        given = [key for key in keys if getattr(self, key) is not None]
        if len(given) == 1:
            (lacking,) = set(keys) - set(given)
            raise ValueError(f"found '{given[0]}' without '{lacking}', expected both or neither")
        return self


class LabelCurvesSection(Section):
    """How the single-task networks do with fewer labels, and with more.

    Attributes:
        seeds: the points of other numbers of labels than today's come from this many seeds, the
            first ones.
        shares: shares of every task's labelled training rows, 0 to 1; 1 is always among them.
        arm: the arm whose labels are counted; default: the recommended one, or the best coupled.
    """

    shares: list[float] = Field(default=[0.1, 0.2, 0.4, 0.8, 1.0], min_length=1)
    arm: str | None = None
    seeds: int = Field(default=3, ge=1)

    @field_validator("shares")
    @classmethod
    def _shares(cls, shares: list[float]) -> list[float]:
        for share in shares:
            if not 0 < share <= 1:
                raise ValueError(f"found the share {share}, expected above 0 and at most 1")
        return shares
