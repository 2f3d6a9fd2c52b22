"""The pictures of label curves and of calibration, each an inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, NullLocator

from labelweave.report.drawing import inline_svg, new_figure, style
from labelweave.report.figures import BLACK, BLUE, GREY, VERMILION, WIDTH
from labelweave.report.messages import Messages

FINE = (1, 1.5, 2, 3, 5, 7)  # the ticks of less than a decade
COURSES = ((BLUE, "o", "-"), (VERMILION, "s", "--"), ("#009E73", "^", "-."))


def label_curve(task: str, curve: Mapping[str, Any], baseline: str, key: str, say: Messages) -> str:
    """Draw the metric of single-task models by their number of labels, and the joint arm's level.

    Args:
        task: the task's name.
        curve: one of the results' "label_curves".
        baseline: the arm whose curve it is.
        key: a name that no other picture of the page has.
        say: the language.

    Returns:
        An SVG element.
    """
    metric, arm = say.named("metric", curve["metric"]), curve["arm"]
    points = [point for point in curve["points"] if point.get("mean") is not None]
    joint = curve.get("joint") or {}
    with style(key):
        figure, axes = new_figure(WIDTH, 250)
        for point in points:
            ends = point.get("low"), point.get("high")
            if None not in ends:
                axes.plot([point["labels"]] * 2, ends, color=BLUE, lw=1.4)
        x, y = _columns(points, "labels", "mean")
        axes.plot(x, y, color=BLUE, marker="o", ls="", label=baseline)
        if curve.get("fit"):
            x, y = np.asarray(curve["fit"], dtype=float).T
            axes.plot(x, y, color=BLUE, lw=1.2, label=say("legend.fit"))
        if joint.get("mean") is not None:
            axes.axhline(joint["mean"], color=VERMILION, ls="--", lw=1.3, label=arm)
            if joint.get("low") is not None and joint.get("high") is not None:
                axes.axhspan(joint["low"], joint["high"], color=VERMILION, alpha=0.12, lw=0)
        needed = (curve.get("needed") or {}).get("mean")
        if needed is not None:
            axes.axvline(needed, color=GREY, ls=":", lw=1.2, label=say("legend.needed"))
        if points and min(point["labels"] for point in points) > 0:
            axes.set_xscale("log")
            least, most = axes.get_xlim()
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if most > 10 * least else FINE))
            axes.xaxis.set_major_formatter("{x:,.7g}")
            axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(say("axis.labels"))
        axes.set_ylabel(metric)
        axes.grid(axis="y")
        figure.legend(loc="outside lower left", ncols=2)
        told = [
            say("alt.label_point", labels=say.count(p["labels"]), value=say.fixed(p["mean"]))
            for p in points
        ]
        alt = say(
            "alt.label_curve",
            task=task,
            metric=metric,
            told=say.list(told) or say("word.no_data"),
            arm=arm,
            joint=say.fixed(joint.get("mean")),
        )
        return inline_svg(figure, alt)


def reliability(
    task: str, arms: Mapping[str, Sequence[Sequence[float]]], key: str, say: Messages
) -> str:
    """Draw how often predictions are right by how sure they are; the diagonal is calibrated.

    Args:
        task: the task's name.
        arms: per arm its bins: mean confidence, share right, number of elements.
        key: a name that no other picture of the page has.
        say: the language.

    Returns:
        An SVG element.
    """
    with style(key):
        figure, axes = new_figure(WIDTH, 290)
        told = []
        values = [value for bins in arms.values() for entry in bins for value in entry[:2]]
        low = max(0.0, min(values, default=0.0) - 0.03)
        axes.plot([low, 1], [low, 1], color=BLACK, lw=0.9, ls=(0, (4, 3)))
        for (arm, bins), (colour, marker, line) in zip(arms.items(), COURSES, strict=False):
            x, y = np.asarray(bins, dtype=float)[:, :2].T
            axes.plot(x, y, color=colour, marker=marker, ls=line, lw=1.2, ms=4, label=arm)
            pairs = [f"{say.fixed(c, 2)} → {say.fixed(a, 2)}" for c, a, *_ in bins]
            told.append(f"{arm} {say.list(pairs)}")
        axes.set(xlim=(low, 1.01), ylim=(low, 1.01))
        axes.set_xlabel(say("axis.confidence"))
        axes.set_ylabel(say("axis.right"))
        axes.grid()
        figure.legend(loc="outside lower left", ncols=2)
        return inline_svg(figure, say("alt.reliability", task=task, told="; ".join(told)))


def _columns(points: Sequence[Mapping[str, Any]], *names: str) -> list[list[float]]:
    return [[point[name] for point in points] for name in names]
