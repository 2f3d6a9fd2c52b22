"""Labels and running cost in money: only what the study file has a price for."""

from collections.abc import Mapping
from typing import Any

from labelweave.remarks import Remark
from labelweave.study.curves import TaskCurve, saved_to_dict, total_saved
from labelweave.study.value_sections import PricesSection

SECONDS = 3600


def money(
    prices: PricesSection | None,
    curves: Mapping[str, TaskCurve],
    costs: Mapping[str, Any] | None,
    level: float,
) -> dict[str, Any] | None:
    """Return the money that labels and running save, None where no price applies.

    The total is over the priced tasks on which a saving is shown (`total_saved`).

    Args:
        prices: of the study file.
        curves: by task its label curve.
        costs: as `measure_costs` returns them.
        level: that of the intervals.
    """
    if prices is None:
        return None
    priced = {name: price for name, price in prices.label.items() if name in curves}
    running = _running(prices, costs)
    if not priced and running is None:
        return None
    return {
        "currency": prices.currency,
        "labels": {
            name: {"price": price, "saved": saved_to_dict(price * curves[name].saved, level)}
            for name, price in priced.items()
        },
        "total": total_saved(curves, priced, level) if priced else None,
        "running": running,
    }


def _running(prices: PricesSection, costs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    hour, load = prices.hour, prices.predictions_a_year
    if costs is None or hour is None or load is None:
        return None
    joint, single = (
        load / costs[side]["rows_per_second"] / SECONDS * hour for side in ("joint", "single")
    )
    return {
        "joint": joint,
        "single": single,
        "saved": single - joint,
        "unit": "a year",
        "assumption": Remark(
            "assumption.cost_load", load=load, hour=hour, currency=prices.currency
        ),
    }
