"""The seeds of a study."""

from typing import Annotated

from pydantic import AfterValidator

LARGEST_SEED = 2**32 - 1  # scikit-learn's trees take no larger one


def _usable(seeds: int | list[int]) -> int | list[int]:
    if seeds == [] or (isinstance(seeds, int) and seeds < 1):
        raise ValueError(f"found {seeds}, expected at least one seed")
    if isinstance(seeds, int):
        return seeds
    for seed in seeds:
        if not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"found the seed {seed}, expected 0 to {LARGEST_SEED}")
        if seeds.count(seed) > 1:
            raise ValueError(f"found the seed {seed} twice, expected it once")
    return seeds


Seeds = Annotated[int | list[int], AfterValidator(_usable)]
