"""All pictures of a report's page, by the place where they stand."""

from collections.abc import Mapping
from typing import Any

from labelweave.report.messages import Messages
from labelweave.report.tables import arm_names, score, verdict
from labelweave.report.verdict import shown_arm

MAX_TERMS = 12


def pictures(results: Mapping[str, Any], say: Messages) -> dict[str, Any]:
    """Return the inline SVGs of a page, by the names that its templates know."""
    from markupsafe import Markup

    from labelweave.report.curves import label_curve, reliability
    from labelweave.report.figures import interval_plot, loss_curves
    from labelweave.report.heat_maps import heat_map

    arms, terms = arm_names(results), _largest_terms(results["curves"])
    baseline = results["baseline"]
    # safe: the pictures escape every name themselves
    return {
        "intervals": [
            Markup(
                interval_plot(
                    task["name"],
                    task["main_metric"],
                    [(arm, score(results, arm, task), verdict(results, arm, task)) for arm in arms],
                    score(results, baseline, task).mean,
                    f"task-{i}",
                    say,
                )
            )
            for i, task in enumerate(results["tasks"])
        ],
        "maps": [
            Markup(heat_map(relation, f"map-{i}", say))
            for i, relation in enumerate(results["relations"])
        ],
        "estimated": {
            origin: [
                Markup(heat_map(table, f"{origin}-{i}", say))
                for i, table in enumerate(found["estimates"])
            ]
            for origin, found in results["relatedness"].items()
        },
        "label_curves": {
            task: Markup(label_curve(task, curve, baseline, f"labels-{i}", say))
            for i, (task, curve) in enumerate(results["label_curves"].items())
        },
        "reliability": {
            task: Markup(reliability(task, bins, f"reliability-{i}", say))
            for i, task in enumerate(task["name"] for task in results["tasks"])
            if (bins := _bins(results["calibration"], task))
        },
        "curves": {
            arm: Markup(loss_curves(arm, results["curves"][arm], terms, f"curve-{i}", say))
            for i, arm in enumerate(arms)
            if arm in results["curves"]
        },
        "behind": _behind(results, say),
        "hidden_terms": len(_terms(results["curves"])) - len(terms),
    }


def _behind(results: Mapping[str, Any], say: Messages) -> dict[str, Any] | None:
    """Return what the section on tasks that are left behind shows; None = nothing was measured."""
    from markupsafe import Markup

    from labelweave.report.left_behind import advice, cosine_map, shown, task_rows

    arm = shown(results, shown_arm(results))
    if arm is None:
        return None
    found = results["left_behind"][arm]
    picture = found["cosine"] and Markup(cosine_map(found, "cosines", say))
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
