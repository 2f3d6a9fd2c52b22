"""The report as one HTML file: everything inline, no script, nothing fetched from elsewhere."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labelweave.files import write_text
from labelweave.report.decision import decide
from labelweave.report.messages import Messages
from labelweave.report.pictures import Draw, in_turn, pictures
from labelweave.report.relatedness import needs_rows, noise_rows
from labelweave.report.tables import (
    MARKS,
    arm_names,
    best_arms,
    checked,
    difference,
    estimate,
    interval_level,
    score,
    verdict,
)
from labelweave.report.value import money_lines
from labelweave.report.verdict import headline, recommended_arm, shown_arm

if TYPE_CHECKING:
    from jinja2 import Environment

SECTIONS = (
    "verdict", "coverage", "relations", "results", "label_curves", "calibration", "costs",
    "learning", "left_behind", "left_out", "reproduce",
)  # fmt: skip
RUNNING = ("networks", "parameters", "disk_mb", "memory_mb", "rows_per_second", "training_seconds")


def write_html(
    results: Mapping[str, Any], path: str | Path, language: str = "en", draw: Draw = in_turn
) -> None:
    """Write the report of a study: one self-contained HTML file, fit for phone, screen and print.

    First the decision: verdict, three figures, recommendation, reasons and risks. Then coverage,
    relations, the results of every task, label curves, calibration, costs, loss curves, which task
    is left behind, what was left out, and the settings. A part that the results leave out is told
    in one line. The same results give the same bytes.

    Args:
        results: the content of a study's results.json.
        path: the file to write, replaced as a whole.
        language: the language of the texts, one of `languages()`.
        draw: what draws the pictures.

    Raises:
        LabelweaveError: the results are not those of a study, no such language, or the file
            cannot be written.
    """
    results, say = checked(results), Messages(language)
    # heavy, and of use only here
    import yaml
    from markupsafe import Markup

    arms, costs = arm_names(results), results["costs"]
    css = files("labelweave.report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    page = (
        templates(escaped=True)
        .get_template("page.html.j2")
        .render(
            common(results, say),
            css=Markup(css),
            sections=SECTIONS,
            titles={arm: _title(results, arm, say) for arm in [*arms, recommended_arm(results)]},
            shown=shown_arm(results),
            by_task=_by_task(results, say),
            running=_running(costs, say) if "joint" in costs else [],
            calibrated=[arm for arm in arms if arm in results["calibration"]],
            classes=_classes(results["coverage"]),
            settings=yaml.safe_dump(results["settings"], sort_keys=False, allow_unicode=True),
            noise_rows=noise_rows,
            needs_rows=needs_rows,
            difference=difference,
            estimate=estimate,
            **pictures(results, say, draw),
        )
    )
    write_text(Path(path), page)


@cache  # compiled once, however many reports a process writes
def templates(*, escaped: bool) -> "Environment":
    """Return the templates of the report, with names escaped for HTML or not."""
    from jinja2 import Environment, PackageLoader

    return Environment(
        loader=PackageLoader("labelweave.report", "templates"),
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def common(results: Mapping[str, Any], say: Messages) -> dict[str, Any]:
    """Return what the templates of all formats know."""
    return {
        "t": say,
        "results": results,
        "arms": arm_names(results),
        "headline": headline(results, say),
        "recommended": recommended_arm(results),
        "decision": decide(results, say),
        "money_told": money_lines(results["money"], say),
        "level": interval_level(results),
        "marks": MARKS,
        "best_arms": best_arms,
        "score": score,
        "verdict": verdict,
    }


def _title(results: Mapping[str, Any], arm: str, say: Messages) -> str:
    """Return what an arm is: the catalogue's text for a usual arm, else the study's own title."""
    name, *parts = arm.split(".")
    keys = [f"arm.{name}", *(f"arm_with.{part}" for part in parts)]
    if all(say.has(key) for key in keys):
        return "".join(say(key) for key in keys)
    return str(results["arm_titles"].get(arm) or say("word.no_description"))


def _by_task(results: Mapping[str, Any], say: Messages) -> dict[str, Any]:
    """Return the heads and rows of the figures by task; a column without any figure is left out."""
    arm, money = shown_arm(results), results["money"].get("labels") or {}
    columns: dict[str, list[dict[str, str]]] = {}
    for task in results["tasks"]:
        curve = results["label_curves"].get(task["name"]) or {}
        price = money.get(task["name"]) or {}
        change = vars(difference(results, arm, task))
        for head, cell in (
            ("figure.accuracy", _cell(change, say, 3, "+")),
            ("head.labels_now", _cell({"mean": curve.get("has")}, say, 0)),
            ("figure.labels", _cell(curve.get("saved") or {}, say, 0)),
            ("head.money", _cell(price.get("saved") or {}, say, 0)),
        ):
            columns.setdefault(head, []).append(cell)
    kept = {say(head): cells for head, cells in columns.items() if any(c["value"] for c in cells)}
    names = [task["name"] for task in results["tasks"]]
    rows = list(zip(names, *kept.values(), strict=True)) if kept else []
    return {"heads": list(kept), "rows": rows}


def _cell(value: Mapping[str, Any], say: Messages, digits: int, sign: str = "") -> dict[str, str]:
    if value.get("mean") is None:
        return {"value": "", "below": ""}
    ends = value.get("low"), value.get("high")
    below = "" if ends == (None, None) else say.span(*ends, digits, sign)
    return {"value": say.fixed(value["mean"], digits, sign), "below": below}


def _running(costs: Mapping[str, Any], say: Messages) -> list[tuple[str, list[str]]]:
    """Return the rows of the running costs: a name, and its value for joint and single."""
    sides = [costs["joint"], costs.get("single") or {}]
    rows = [(name, [_amount(side.get(name), say) for side in sides]) for name in RUNNING]
    for size in ("1", "256"):
        for part in ("p50", "p95"):
            found = [((side.get("latency_ms") or {}).get(size) or {}).get(part) for side in sides]
            rows.append((f"latency_{size}_{part}", [_amount(value, say) for value in found]))
    return rows


def _amount(value: float | None, say: Messages) -> str:
    if value is None or isinstance(value, int) or value >= 1000:
        return say.count(value)
    return say.fixed(value, 1 if value >= 10 else 3)


def _classes(coverage: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the classes of every task that some source counts, in order of appearance."""
    of_sources = coverage["per_class"].values()
    return {
        task: list(dict.fromkeys(name for of in of_sources for name in of.get(task) or {}))
        for task in coverage["tasks"]
    }
