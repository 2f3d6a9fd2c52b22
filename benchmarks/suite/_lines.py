"""Lines of figures over sets and seeds that a command names."""

import argparse
from collections.abc import Callable
from typing import Any

import pandas as pd


def measured_lines(
    description: str | None,
    sets: str,
    seeds: int,
    measured: Callable[[str, int], list[dict[str, Any]]],
) -> pd.DataFrame:
    """Return what is measured on every set and seed of the command line.

    Args:
        description: of the command.
        sets: names of the sets where the command names none, separated by commas.
        seeds: their number, likewise.
        measured: gives the lines of a set and a seed.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--sets", default=sets)
    parser.add_argument("--seeds", type=int, default=seeds)
    asked = parser.parse_args()
    return pd.DataFrame(
        [
            line
            for name in asked.sets.split(",")
            for seed in range(asked.seeds)
            for line in measured(name, seed)
        ]
    )
