"""What joining is worth, in a few plain lines for the terminal."""

from collections.abc import Mapping
from typing import Any

from labelweave.report.messages import Messages


def value_lines(results: Mapping[str, Any]) -> list[str]:
    """Return the three figures, what to label next and what to join, as far as results tell.

    Args:
        results: the content of a study's results.json.
    """
    lines = []
    decision = results.get("decision") or {}
    figures = {figure["key"]: figure for figure in decision.get("figures", ())}
    if figures:
        lines.append(f"Decision: {decision['verdict']} ({decision['arm']})")
        lines.append("  " + "; ".join(filter(None, (_accuracy(figures), _cost(results)))))
    lines += _labels(results)
    plan = results.get("label_plan") or {}
    if plan.get("tasks"):
        best = plan["tasks"][0]
        rows = f"; {plan['rows']} rows named in {plan['rows_file']}" if plan["rows"] else ""
        lines.append(f"Label next: {best['task']} ({Messages().told(best['why'])}){rows}")
    proposed = results.get("next_task") or {}
    then = [entry["task"] for entry in proposed.get("order", ())]
    if then and proposed.get("start"):
        lines.append(f"Start with: {', '.join(proposed['start'])}; then {', '.join(then)}")
    return lines


def money_lines(money: Mapping[str, Any], say: Messages) -> list[str]:
    """Return what labels and running save in money, as far as there are prices.

    Args:
        money: of a study's results; empty = no prices.
        say: the language.
    """
    currency, lines = money.get("currency"), []
    if total := money.get("total"):
        span = say.span(total["low"], total["high"], 0)
        mean = say.count(total["mean"])
        lines.append(say("money.total", mean=mean, interval=span, currency=currency))
    if running := money.get("running"):
        figures = {key: say.fixed(running[key], 2) for key in ("joint", "single", "saved")}
        unit = say.named("unit", running["unit"])
        lines.append(say("money.running", currency=currency, unit=unit, **figures))
    return lines


def _accuracy(figures: Mapping[str, Any]) -> str:
    value = figures["accuracy"]["value"]
    if value is None:
        return ""
    return f"mean of the main metrics {_ends(value, 100, 1, '+')} points"


def _cost(results: Mapping[str, Any]) -> str:
    running = (results.get("money") or {}).get("running")
    ratio = results["costs"].get("ratio")
    text = ""
    if ratio and ratio["throughput"] and ratio["latency_1"]:
        text = (
            f"running: {ratio['throughput']:.1f} times the rows per second, "
            f"{ratio['latency_1']:.2f} of the latency of a row"
        )
    if running:
        text += f", {running['saved']:,.2f} {results['money']['currency']} a year saved"
    return text


def _labels(results: Mapping[str, Any]) -> list[str]:
    """Return the labels saved on the task where that is clearest, and the money of all."""
    curves = results.get("label_curves") or {}
    sure: dict[str, float] = {}
    for name, curve in curves.items():
        needed, has = curve["needed"], curve["has"]
        least = curve["beyond"] if needed["low"] is None else needed["low"]
        if least is not None and least > has:
            sure[name] = least / has
    if not curves:
        return []
    if not sure:
        return ["Labels saved: on no task for certain"]
    name = max(sure, key=lambda task: sure[task])
    curve = curves[name]
    needed = curve["needed"]
    told = _ends(needed) if needed["mean"] is not None else f"more than {curve['beyond']:,.0f}"
    line = (
        f"Labels saved: on {len(sure)} of {len(curves)} tasks; {name}: {curve['has']:,} labels do "
        f"what {told} would do alone"
    )
    total = (results.get("money") or {}).get("total")
    if total:
        line += f"; {_ends(total)} {results['money']['currency']} in all"
    return [line]


def _ends(value: Mapping[str, Any], factor: float = 1, digits: int = 0, sign: str = "") -> str:
    mean, low, high = (
        None if value[end] is None else factor * value[end] for end in ("mean", "low", "high")
    )
    say = Messages()
    told = "" if low is high is None else f" ({say.span(low, high, digits, sign)})"
    return say.fixed(mean, digits, sign) + told
