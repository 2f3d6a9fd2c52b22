"""The report as one HTML file: everything inline, no script, nothing fetched from elsewhere."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from labelweave._files import write_text
from labelweave._messages import Messages, known_language
from labelweave.report._names import method_name, method_names
from labelweave.report._phrases import phrases, would_change
from labelweave.report._recommendation import first_screen, headline, next_steps
from labelweave.report._relatedness import noise_rows, transfer_rows
from labelweave.report._sections import money_lines
from labelweave.report._summary import write_summary
from labelweave.report._tables import MARKS, interval_level, write_results_csv
from labelweave.results import (
    Cell,
    LabelCounts,
    LossTerms,
    MeanInterval,
    RelationTable,
    ReliabilityBin,
    Results,
    RunningCosts,
    TaskCalibration,
    TaskDetails,
    TaskFacts,
    TaskLabelCurve,
    cell,
)

if TYPE_CHECKING:
    from jinja2 import Environment

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


def pictures(results: Results, say: Messages, draw: Draw = in_turn) -> dict[str, Any]:
    """Return the inline SVGs of a page, by the names that its templates know.

    Args:
        results: of a study.
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


def _wanted(results: Results, say: Messages) -> dict[str, Any]:
    """Return what `pictures` does, each picture still to be drawn."""
    from labelweave.report._figures import (
        gain_chart,
        gain_methods,
        heat_map,
        interval_plot,
        joined_map,
        label_curve,
        loss_curves,
        on_one_map,
        reliability_diagram,
    )

    def maps(relations: Sequence[RelationTable], key: str) -> dict[str, Any]:
        together, apart = on_one_map(relations)
        if len(together) < 2:
            together, apart = [], list(relations)
        picture = Picture(joined_map, (together, f"{key}-joined", say)) if together else None
        alone = [Picture(heat_map, (each, f"{key}-{i}", say)) for i, each in enumerate(apart)]
        return {"mapped": together, "apart": apart, "joined": picture, "maps": alone}

    methods, terms = results.method_names, _largest_terms(results.curves)
    baseline, compared = results.baseline, gain_methods(results)
    return {
        "gains": Picture(gain_chart, (results, compared, "gains", say)) if compared else None,
        "intervals": [
            Picture(
                interval_plot,
                (
                    task.name,
                    task.main_metric,
                    [
                        (
                            method_name(method, say),
                            results.score(method, task),
                            results.verdict(method, task),
                        )
                        for method in methods
                    ],
                    results.score(baseline, task).mean,
                    f"task-{i}",
                    say,
                ),
            )
            for i, task in enumerate(results.tasks)
        ],
        **maps(results.relations, "map"),
        "estimated": {
            origin: maps(found.estimates, origin) for origin, found in results.relatedness.items()
        },
        "label_curves": {
            task: Picture(
                label_curve,
                (
                    task,
                    replace(curve, method=method_name(curve.method, say)),
                    method_name(baseline, say),
                    f"labels-{i}",
                    say,
                ),
            )
            for i, (task, curve) in enumerate(results.label_curves.items())
        },
        "reliability": {
            task: Picture(reliability_diagram, (task, bins, f"reliability-{i}", say))
            for i, task in enumerate(task.name for task in results.tasks)
            if (bins := _bins(results.calibration, task, say))
        },
        "curves": {
            method: Picture(
                loss_curves,
                (method_name(method, say), results.curves[method], terms, f"curve-{i}", say),
            )
            for i, method in enumerate(methods)
            if method in results.curves
        },
        "behind": _behind(results, say),
        "hidden_terms": len(_terms(results.curves)) - len(terms),
    }


def _behind(results: Results, say: Messages) -> dict[str, Any] | None:
    """Return what the section on tasks that are left behind shows; None = nothing was measured."""
    from labelweave.report._figures import advice, cosine_map, task_rows, watched

    method = watched(results, results.recommended.shown)
    if method is None:
        return None
    found = results.learning[method]
    picture = found.cosine and Picture(cosine_map, (found, "cosines", say))
    rows, hints = task_rows(found, say), advice(found, say)
    return {"method": method, "rows": rows, "advice": hints, "cosines": picture}


def _bins(
    calibration: Mapping[str, Mapping[str, TaskCalibration]], task: str, say: Messages
) -> dict[str, tuple[ReliabilityBin, ...]]:
    """Return the bins of every method that has some."""
    found = {
        method_name(method, say): of[task].bins for method, of in calibration.items() if task in of
    }
    return {method: bins for method, bins in found.items() if bins}


def _terms(curves: Mapping[str, LossTerms]) -> list[str]:
    return list(dict.fromkeys(term for curve in curves.values() for term in curve.terms))


def _largest_terms(curves: Mapping[str, LossTerms]) -> list[str]:
    """Return the terms to draw: those with the largest peaks over all methods, in their order."""
    peaks = {
        term: max(
            (abs(v) for c in curves.values() for v in c.terms.get(term, ()) if v is not None),
            default=0.0,
        )
        for term in _terms(curves)
    }
    kept = sorted(peaks, key=peaks.__getitem__, reverse=True)[:MAX_TERMS]
    return [term for term in peaks if term in kept]


SECTIONS = (
    "verdict", "results", "label_curves", "relations", "teaching", "calibration", "costs",
    "privacy", "private", "exchange", "fairness", "audit", "monitoring", "left_behind", "learning",
    "coverage", "left_out", "reproduce",
)  # fmt: skip
CHECKED = ("privacy", "private", "exchange", "audit", "monitoring")
RUNNING = ("networks", "parameters", "disk_mb", "memory_mb", "rows_per_second", "training_seconds")


def write_html(
    results: Results, path: str | Path, language: str = "en", draw: Draw = in_turn
) -> None:
    """Write the report of a study: one self-contained HTML file, fit for phone, screen and print.

    First the decision: verdict, what would change it, three figures, gain chart, recommendation,
    what to do next, risks, phrases for the meeting. Then the results of every task, with a
    confusion matrix, its classes and the inputs that matter; label curves, relations, calibration,
    costs, privacy, private training, exchange, fairness, audit, monitoring, which task is left
    behind, loss curves, coverage, what was left out, and the settings. A part without data is one
    line. The same results give the same bytes.

    Args:
        results: of a study.
        path: the file to write, replaced as a whole.
        language: the language of the texts, one of `languages()`.
        draw: what draws the pictures.

    Raises:
        LabelweaveError: no such language, or the file cannot be written.
    """
    say = Messages(language)
    # heavy, and of use only here
    import yaml

    methods = results.method_names
    page = (
        templates(escaped=True)
        .get_template("page.html.j2")
        .render(
            common(results, say),
            css=_css(),
            sections=SECTIONS,
            checked=CHECKED,
            shade=_shade,
            most_rows=MOST_ROWS,
            least_found=lambda found: _least_found(found, say),
            titles={
                method: _title(results, method, say)
                for method in [*methods, results.recommended.method]
            },
            shown=results.recommended.shown,
            by_task=_by_task(results, say),
            running=_running(results.running, say) if results.running else [],
            calibrated=[method for method in methods if method in results.calibration],
            classes=_classes(results.coverage),
            settings=yaml.safe_dump(results.settings, sort_keys=False, allow_unicode=True),
            noise_rows=noise_rows,
            transfer_rows=transfer_rows,
            cell=cell,
            **pictures(results, say, draw),
        )
    )
    write_text(Path(path), page)


def write_slide(results: Results, path: str | Path, language: str = "en") -> None:
    """Write the decision on one page, to print or to show: one self-contained HTML file.

    Args:
        results: of a study.
        path: the file to write, replaced as a whole.
        language: the language of the texts, one of `languages()`.

    Raises:
        LabelweaveError: no such language, or the file cannot be written.
    """
    from markupsafe import Markup

    from labelweave.report._figures import gain_chart, gain_methods

    say, compared = Messages(language), gain_methods(results)
    gains = gain_chart(results, compared, "slide", say) if compared else ""
    page = (
        templates(escaped=True)
        .get_template("slide.html.j2")
        .render(common(results, say), css=_css(), gains=Markup(gains))
    )
    write_text(Path(path), page)


def _css() -> Any:
    from markupsafe import Markup

    return Markup(
        files("labelweave.report").joinpath("templates", "page.css").read_text(encoding="utf-8")
    )


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


def common(results: Results, say: Messages) -> dict[str, Any]:
    """Return what the templates of all formats know."""
    return {
        "t": say,
        "results": results,
        "methods": results.method_names,
        "names": method_names(results.method_names, say),
        "called": lambda method: method_name(method, say),
        "change": would_change(results, say),
        "phrases": phrases(results, say),
        "headline": headline(results, say),
        "recommended": results.recommended.method,
        "decision": first_screen(results, say),
        "steps": next_steps(results, say),
        "money_lines": money_lines(results.money, say),
        "level": interval_level(results),
        "marks": MARKS,
    }


def _title(results: Results, method: str, say: Messages) -> str:
    """Return what a method is: the catalogue's text, or the study's own title."""
    name, *parts = method.split(".")
    keys = [f"method.{name}", *(f"method_with.{part}" for part in parts)]
    if all(say.has(key) for key in keys):
        return "".join(say(key) for key in keys)
    return str(results.method_titles.get(method) or say("word.no_description"))


SHADES = 5  # of a confusion matrix


MOST_ROWS = 500  # of a table of classes; results.json holds all


def _shade(count: int, row: Sequence[int]) -> int:
    """Return how dark a cell of a confusion matrix is: its share of the row, from 0 to 5."""
    return -(-SHADES * count // max(1, sum(row)))


def _least_found(found: TaskDetails, say: Messages) -> list[str]:
    """Return the three classes of which the smallest share is found, as far as some is missed."""
    missed = [each for each in found.classes if each.recall is not None and each.recall < 1]
    missed.sort(key=lambda each: (each.recall or 0.0, -each.n))
    return [
        say("details.class", name=each.name, right=say.count(each.right), n=say.count(each.n))
        for each in missed[:3]
    ]


def _by_task(results: Results, say: Messages) -> dict[str, Any]:
    """Return the heads and rows of the figures by task; a column without any figure is left out."""
    method, money = results.recommended.shown, results.money.labels if results.money else {}
    columns: dict[str, list[dict[str, str]]] = {}
    for task in results.tasks:
        curve, price = results.label_curves.get(task.name), money.get(task.name)
        for head, shown in (
            ("figure.accuracy", _cell(results.difference(method, task), say, 3, "+")),
            ("head.labels_now", _cell(MeanInterval(curve.has) if curve else None, say, 0)),
            ("figure.labels", _saved(curve, say)),
            ("head.money", _cell(price.saved if price else None, say, 0)),
        ):
            columns.setdefault(head, []).append(shown)
    kept = {say(head): cells for head, cells in columns.items() if any(c["value"] for c in cells)}
    names = [task.name for task in results.tasks]
    rows = list(zip(names, *kept.values(), strict=True)) if kept else []
    return {"heads": list(kept), "rows": rows}


def _saved(curve: TaskLabelCurve | None, say: Messages) -> dict[str, str]:
    """Return the labels that joining saves on a task, "more than" where the curve ends before."""
    if curve is not None and curve.saved is None and curve.beyond is not None:
        more = say.count(curve.beyond - curve.has)
        return {"value": say("curves.more_than", number=more), "below": ""}
    return _cell(curve.saved if curve else None, say, 0)


def _cell(
    value: MeanInterval | Cell | None, say: Messages, digits: int, sign: str = ""
) -> dict[str, str]:
    if value is None or value.mean is None:
        return {"value": "", "below": ""}
    below = "" if value.low is value.high is None else say.span(value.low, value.high, digits, sign)
    return {"value": say.fixed(value.mean, digits, sign), "below": below}


def _running(costs: RunningCosts, say: Messages) -> list[tuple[str, list[str]]]:
    """Return the rows of the running costs: a name, and its value for joint and single."""
    sides = [costs.joint, costs.single]
    rows = [(name, [_amount(getattr(side, name), say) for side in sides]) for name in RUNNING]
    for size in ("1", "256"):
        for part in ("p50", "p95"):
            found = [getattr(side.latency_ms.get(size), part, None) for side in sides]
            rows.append((f"latency_{size}_{part}", [_amount(value, say) for value in found]))
    return rows


def _amount(value: float | None, say: Messages) -> str:
    if value is None or isinstance(value, int) or value >= 1000:
        return say.count(value)
    return say.fixed(value, 1 if value >= 10 else 3)


def _classes(coverage: LabelCounts) -> dict[str, list[str]]:
    """Return the classes of every task that some source counts, in order of appearance."""
    of_sources = coverage.per_class.values()
    return {
        task: list(dict.fromkeys(name for of in of_sources for name in of.get(task) or {}))
        for task in coverage.tasks
    }


SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def write_markdown(results: Results, path: str | Path, language: str = "en") -> None:
    """Write the decision, the results and the label curves as Markdown, names escaped.

    Args:
        results: of a study.
        path: the file to write, replaced as a whole.
        language: the language of the texts, one of `languages()`.

    Raises:
        LabelweaveError: no such language, or the file cannot be written.
    """
    say = Messages(language)
    environment = templates(escaped=False)
    environment.filters["md"] = _escaped

    def shown(method: str, task: TaskFacts) -> str:
        found, word = results.score(method, task), results.verdict(method, task)
        half = ""
        if found.low is not None and found.high is not None:
            half = f" ± {say.fixed((found.high - found.low) / 2)}"
        return say.fixed(found.mean) + half + (f" {MARKS[word]}" if word else "")

    page = environment.get_template("report.md.j2").render(common(results, say), cell=shown)
    write_text(Path(path), page)


def _escaped(text: object) -> str:
    """Return a text as one line of Markdown that shows it as it is."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


FILES = ("report.html", "report.md", "slide.html", "summary.png", "results.csv")


def write_report(
    results: Results,
    folder: str | Path,
    language: str | None = None,
    draw: Draw = in_turn,
    *,
    formulas: bool = False,
) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``slide.html``, ``summary.png`` and ``results.csv``.

    Each is written whole or not at all. ``write_report(study.run(), study.output)`` runs a study
    and reports it.

    Args:
        results: of a study.
        folder: where to write; made if it is not there.
        language: one of `languages()`; None = what the study's settings say, else English.
        draw: what draws the page's pictures.
        formulas: see `write_results_csv`.

    Returns:
        The paths of the files.

    Raises:
        LabelweaveError: no such language, or a file cannot be written.
    """
    if language is None:
        language = str(results.settings.get("language") or "en")
    known_language(language)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in FILES]
    page, short, slide, picture, table = paths
    write_html(results, page, language, draw)
    write_markdown(results, short, language)
    write_slide(results, slide, language)
    write_summary(results, picture, language)
    write_results_csv(results, table, formulas=formulas)
    return paths
