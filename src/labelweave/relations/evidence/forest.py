"""Relations as a graph over tasks, thinned so that no evidence is counted twice.

A table couples both of its tasks: through it the source informs the target, and a label of the
target informs the source. The reversed relation holds the same joint distribution once more, and
round a cycle of tasks a prediction comes back to where it started, or reaches a task on two ways;
either way it counts twice and the network grows surer than the data are. In a forest there is one
way between two tasks. Of all forests, the one of the greatest total information is the best
approximation of the joint distribution (Chow and Liu, "Approximating discrete probability
distributions with dependence trees", 1968), and adding relations by descending weight finds it.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from labelweave.errors import LabelweaveError, listing, nearest
from labelweave.relations.noisy_or import AnyRelation
from labelweave.remarks import Remark

R = TypeVar("R", bound=AnyRelation)


def acyclic(relations: Sequence[R], weights: Mapping[str, float]) -> tuple[list[R], dict[str, str]]:
    """Keep the relations that form the forest of the greatest total weight.

    Args:
        relations: at most one of a name.
        weights: by the relation's name, how much it tells: `Evidence.information` times its trust.
            Of equal weights the first relation wins; a weight of 0 or below is left out.

    Returns:
        The kept relations in their order, and by name the reason for every one left out.

    Raises:
        LabelweaveError: a relation without a weight, or two of one name.
    """
    names = [relation.name for relation in relations]
    for name in names:
        if name not in weights:
            raise LabelweaveError(
                f"relation {name}: found no weight for it, expected one beside "
                f"{listing(weights)}{nearest(name, weights)}"
            )
        if names.count(name) > 1:
            raise LabelweaveError(
                f"relation {name}: given {names.count(name)} times, expected once"
            )
    links: dict[str, list[str]] = {}
    left_out: dict[str, str] = {}
    for relation in sorted(relations, key=lambda r: -weights[r.name]):
        source, target = relation.source.name, relation.target.name
        way = _way(links, source, target)
        if not weights[relation.name] > 0:
            left_out[relation.name] = Remark("remark.no_weight")
        elif way:
            left_out[relation.name] = Remark(
                "remark.counts_twice", source=source, target=target, way=" - ".join(way)
            )
        else:
            links.setdefault(source, []).append(target)
            links.setdefault(target, []).append(source)
    return [relation for relation in relations if relation.name not in left_out], left_out


def _way(links: Mapping[str, Sequence[str]], start: str, end: str) -> list[str]:
    """Return the tasks on the way from one to another, or an empty list."""
    open_ways = [[start]]
    reached = {start}
    while open_ways:
        way = open_ways.pop()
        if way[-1] == end:
            return way
        for task in links.get(way[-1], ()):
            if task not in reached:
                reached.add(task)
                open_ways.append([*way, task])
    return []
