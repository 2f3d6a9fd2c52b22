"""The report as one HTML file: everything inline, no script, nothing fetched from elsewhere."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from labelweave.files import write_text
from labelweave.report.relatedness import noise_rows
from labelweave.report.tables import (
    MARKS,
    arm_names,
    best_arms,
    checked,
    difference,
    estimate,
    fixed,
    interval_level,
    score,
    verdict,
)
from labelweave.report.verdict import headline, reasons, recommended_arm

MAX_TERMS = 12


def write_html(results: Mapping[str, Any], path: str | Path) -> None:
    """Write the report of a study: one self-contained HTML file, fit for phone, screen and print.

    It holds the verdict and the recommended arm, the results of every task, the coverage, the
    relations as heat maps, loss curves, costs, notes and failures, and the settings. The same
    results give the same bytes.

    Args:
        results: the content of a study's results.json.
        path: the file to write, replaced as a whole.

    Raises:
        LabelweaveError: the results are not those of a study, or the file cannot be written.
    """
    results = checked(results)
    # heavy, and of use only here
    import yaml
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"fixed": fixed, "p": _p_value, "count": _count, "share": _share}
    template = files("labelweave.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    page = environment.from_string(template).render(
        results=results,
        arms=arm_names(results),
        headline=headline(results),
        recommended=recommended_arm(results),
        reasons=reasons(results),
        classes=_classes(results["coverage"]),
        settings=yaml.safe_dump(results["settings"], sort_keys=False, allow_unicode=True),
        marks=MARKS,
        level=interval_level(results),
        best_arms=best_arms,
        score=score,
        difference=difference,
        verdict=verdict,
        estimate=estimate,
        noise_rows=noise_rows,
        **_pictures(results),
    )
    write_text(Path(path), page)


def _pictures(results: Mapping[str, Any]) -> dict[str, Any]:
    from markupsafe import Markup

    from labelweave.report.figures import interval_plot, loss_curves
    from labelweave.report.heat_maps import heat_map

    arms, terms = arm_names(results), _largest_terms(results["curves"])
    baseline = results["baseline"]
    intervals = [
        interval_plot(
            task["name"],
            task["main_metric"],
            [(arm, score(results, arm, task), verdict(results, arm, task)) for arm in arms],
            score(results, baseline, task).mean,
            f"task-{i}",
        )
        for i, task in enumerate(results["tasks"])
    ]
    maps = [heat_map(relation, f"map-{i}") for i, relation in enumerate(results["relations"])]
    estimated = {
        origin: [heat_map(e, f"{origin}-{i}") for i, e in enumerate(found["estimates"])]
        for origin, found in results["relatedness"].items()
    }
    curves = {
        arm: loss_curves(arm, results["curves"][arm], terms, f"curve-{i}")
        for i, arm in enumerate(arms)
        if arm in results["curves"]
    }
    return {
        # safe: the pictures escape every name themselves
        "intervals": [Markup(svg) for svg in intervals],
        "maps": [Markup(svg) for svg in maps],
        "estimated": {o: [Markup(svg) for svg in svgs] for o, svgs in estimated.items()},
        "curves": {arm: Markup(svg) for arm, svg in curves.items()},
        "hidden_terms": len(_terms(results["curves"])) - len(terms),
    }


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


def _classes(coverage: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the classes of every task that some source counts, in order of appearance."""
    of_sources = coverage["per_class"].values()
    return {
        task: list(dict.fromkeys(name for of in of_sources for name in of.get(task) or {}))
        for task in coverage["tasks"]
    }


def _p_value(p: float | None) -> str:
    return "no data" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _count(number: float | None) -> str:
    return "no data" if number is None else f"{number:,.0f}"


def _share(part: float, whole: float | None) -> str:
    return f"{part / whole:.0%}" if whole else "no data"
