"""All pictures of a report's page, by the place where they stand."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from labelweave.report.messages import Messages
from labelweave.report.tables import arm_names, score, verdict
from labelweave.report.verdict import shown_arm

MAX_TERMS = 12


class Picture(NamedTuple):
    """A picture to be drawn: a function of the package, and its arguments."""

    function: Callable[..., str]
    arguments: tuple[Any, ...]

    def drawn(self) -> str:
        """Return its inline SVG."""
        return self.function(*self.arguments)


Draw = Callable[[Sequence[Picture]], Sequence[str]]


def in_turn(wanted: Sequence[Picture]) -> list[str]:
    """Draw one picture after the other."""
    return [picture.drawn() for picture in wanted]


def pictures(results: Mapping[str, Any], say: Messages, draw: Draw = in_turn) -> dict[str, Any]:
    """Return the inline SVGs of a page, by the names that its templates know.

    Args:
        results: the content of a study's results.json.
        say: the language.
        draw: what draws them, perhaps in several processes.
    """
    from markupsafe import Markup

    wanted = _wanted(results, say)
    every = list(_every(wanted))
    # safe: the pictures escape every name themselves
    drawn = {id(p): Markup(svg) for p, svg in zip(every, draw(every), strict=True)}
    found: dict[str, Any] = _replaced(wanted, drawn)
    return found


def _every(part: Any) -> Iterator[Picture]:
    if isinstance(part, Picture):
        yield part
    elif isinstance(part, dict | list):
        for each in part.values() if isinstance(part, dict) else part:
            yield from _every(each)


def _replaced(part: Any, drawn: Mapping[int, str]) -> Any:
    if isinstance(part, Picture):
        return drawn[id(part)]
    if isinstance(part, dict):
        return {name: _replaced(each, drawn) for name, each in part.items()}
    return [_replaced(each, drawn) for each in part] if isinstance(part, list) else part


def _wanted(results: Mapping[str, Any], say: Messages) -> dict[str, Any]:
    """Return what `pictures` does, each picture still to be drawn."""
    from labelweave.report.curves import label_curve, reliability
    from labelweave.report.figures import interval_plot, loss_curves
    from labelweave.report.heat_maps import heat_map

    arms, terms = arm_names(results), _largest_terms(results["curves"])
    baseline = results["baseline"]
    return {
        "intervals": [
            Picture(
                interval_plot,
                (
                    task["name"],
                    task["main_metric"],
                    [(arm, score(results, arm, task), verdict(results, arm, task)) for arm in arms],
                    score(results, baseline, task).mean,
                    f"task-{i}",
                    say,
                ),
            )
            for i, task in enumerate(results["tasks"])
        ],
        "maps": [
            Picture(heat_map, (relation, f"map-{i}", say))
            for i, relation in enumerate(results["relations"])
        ],
        "estimated": {
            origin: [
                Picture(heat_map, (table, f"{origin}-{i}", say))
                for i, table in enumerate(found["estimates"])
            ]
            for origin, found in results["relatedness"].items()
        },
        "label_curves": {
            task: Picture(label_curve, (task, curve, baseline, f"labels-{i}", say))
            for i, (task, curve) in enumerate(results["label_curves"].items())
        },
        "reliability": {
            task: Picture(reliability, (task, bins, f"reliability-{i}", say))
            for i, task in enumerate(task["name"] for task in results["tasks"])
            if (bins := _bins(results["calibration"], task))
        },
        "curves": {
            arm: Picture(loss_curves, (arm, results["curves"][arm], terms, f"curve-{i}", say))
            for i, arm in enumerate(arms)
            if arm in results["curves"]
        },
        "behind": _behind(results, say),
        "hidden_terms": len(_terms(results["curves"])) - len(terms),
    }


def _behind(results: Mapping[str, Any], say: Messages) -> dict[str, Any] | None:
    """Return what the section on tasks that are left behind shows; None = nothing was measured."""
    from labelweave.report.left_behind import advice, cosine_map, shown, task_rows

    arm = shown(results, shown_arm(results))
    if arm is None:
        return None
    found = results["left_behind"][arm]
    picture = found["cosine"] and Picture(cosine_map, (found, "cosines", say))
    rows, told = task_rows(found, say), advice(found, say)
    return {"arm": arm, "rows": rows, "advice": told, "cosines": picture}


def _bins(calibration: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Return the bins of every arm that has some."""
    found = {arm: (of.get(task) or {}).get("bins") for arm, of in calibration.items()}
    return {arm: bins for arm, bins in found.items() if bins}


def _terms(curves: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(term for curve in curves.values() for term in curve["terms"]))


def _largest_terms(curves: Mapping[str, Any]) -> list[str]:
    """Return the terms to draw: those with the largest peaks over all arms, in their order."""
    peaks = {
        term: max(
            (abs(v) for c in curves.values() for v in c["terms"].get(term, []) if v is not None),
            default=0.0,
        )
        for term in _terms(curves)
    }
    kept = sorted(peaks, key=peaks.__getitem__, reverse=True)[:MAX_TERMS]
    return [term for term in peaks if term in kept]
