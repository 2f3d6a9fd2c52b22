"""Is a task left behind? The figures, the advice and the picture of the section."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from labelweave.report.drawing import cut, inline_svg, name_ticks, new_figure, style, width
from labelweave.report.messages import Messages

NUMBERED = 12  # tasks up to which the cells of the picture hold their number


class TaskRow(NamedTuple):
    """A task as the table shows it: its cells, below some a second line, and its state."""

    task: str
    cells: list[tuple[str, str]]
    state: str
    word: str


def shown(results: Mapping[str, Any], preferred: str) -> str | None:
    """Return the arm to show: the preferred one if its training was watched, else the first."""
    arms = results["left_behind"]
    return preferred if preferred in arms else next(iter(arms), None)


def task_rows(found: Mapping[str, Any], say: Messages) -> list[TaskRow]:
    """Return the rows of the table."""
    return [
        TaskRow(
            name,
            [
                (say.count(facts["labels"]), f"{cut(facts['rarest'])}: {facts['rarest_labels']:,}"),
                (_percent(facts["share"], say), ""),
                (say.fixed(facts["rate"], 2), ""),
                (_percent(facts["half"], say, 0), ""),
                (_percent(facts["train"], say, 0), say.fixed(facts["train_score"])),
                _validation(facts, say),
            ],
            facts["state"],
            say.named("task_state", facts["state"]),
        )
        for name, facts in found["tasks"].items()
    ]


def advice(found: Mapping[str, Any], say: Messages) -> list[str]:
    """Return a sentence on every task that something is wrong with."""
    even = _percent(1 / max(1, len(found["tasks"])), say)
    return [
        say(
            f"advice.{facts['state']}",
            task=name,
            labels=say.count(facts["labels"]),
            rarest=say("format.quoted", name=facts["rarest"]),
            count=say.count(facts["rarest_labels"]),
            share=_percent(facts["share"], say),
            even=even,
            half=_percent(facts["half"], say, 0),
            rate=say.fixed(facts["rate"], 2),
            train=_percent(facts["train"], say, 0),
            train_score=say.fixed(facts["train_score"]),
            validation_score=say.fixed(facts["validation_score"]),
            other=facts.get("other", ""),
            cosine=say.fixed(facts.get("cosine"), 2),
        )
        for name, facts in found["tasks"].items()
        if say.has(f"advice.{facts['state']}")
    ]


def cosine_map(found: Mapping[str, Any], key: str, say: Messages) -> str:
    """Draw the mean cosine between the gradients of every two tasks, as an SVG element.

    Purple is against, orange with each other: colour-blind readers can tell them apart, and up to
    twelve tasks every cell holds its number.
    """
    names = list(found["tasks"])
    cosines = np.array(found["cosine"], dtype=np.float64)
    side, space = max(26 * len(names), 90), 7 * max(width(cut(name)) for name in names)
    with style(key):
        figure, axes = new_figure(min(90 + side + space, 620), min(40 + side + space, 620))
        image = axes.imshow(np.ma.masked_invalid(cosines), cmap="PuOr_r", vmin=-1, vmax=1)
        for axis in ("x", "y"):
            name_ticks(axes, axis, names)
        axes.tick_params(axis="x", rotation=90)
        for (i, j), value in np.ndenumerate(
            cosines if len(names) <= NUMBERED else np.empty((0, 0))
        ):
            if np.isfinite(value):
                ink = "white" if abs(value) > 0.7 else "black"
                text = say.short(value)
                axes.text(j, i, text, ha="center", va="center", fontsize=7, color=ink)
        figure.colorbar(image, ax=axes, aspect=12, shrink=0.8, format="{x:.1f}")
        return inline_svg(figure, _told(names, cosines, say))


def _told(names: Sequence[str], cosines: Any, say: Messages) -> str:
    pairs = [
        (float(cosines[i, j]), names[i], names[j])
        for i in range(len(names))
        for j in range(i)
        if np.isfinite(cosines[i, j])
    ]
    if not pairs:
        return say("alt.cosines_none")
    low, high = min(pairs), max(pairs)
    return say(
        "alt.cosines",
        low=say.fixed(low[0], 2), low_a=low[1], low_b=low[2],
        high=say.fixed(high[0], 2), high_a=high[1], high_b=high[2],
    )  # fmt: skip


def _percent(value: float | None, say: Messages, digits: int = 1) -> str:
    if value is None:
        return say("word.no_data")
    return say("format.percent", number=say.fixed(100 * value, digits))


def _validation(facts: Mapping[str, Any], say: Messages) -> tuple[str, str]:
    if facts["validation"] is None:
        return "–", ""
    return _percent(facts["validation"], say, 0), say.fixed(facts["validation_score"])
