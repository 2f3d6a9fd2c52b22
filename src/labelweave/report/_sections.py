"""The value of joining, in a few plain lines for the terminal."""

from labelweave._messages import Messages
from labelweave.report._tables import negligible
from labelweave.results import KeyFigure, MeanInterval, Money, Results


def value_lines(results: Results) -> list[str]:
    """Return the three figures, what to label next and what to join, as far as they are known.

    Args:
        results: of a study.
    """
    lines = []
    found = results.recommended
    if found.best is not None:
        lines.append(f"{Messages()(f'decision.{found.verdict}')} ({found.shown})")
        accuracy = next((figure for figure in found.figures if figure.key == "accuracy"), None)
        parts = [part for part in (_accuracy(accuracy), _cost(results)) if part]
        lines += ["  " + "; ".join(parts)] if parts else []
    lines += _labels(results)
    plan = results.label_plan
    if plan.tasks:
        best = plan.tasks[0]
        rows = f"; {plan.rows} rows named in {plan.rows_file}" if plan.rows else ""
        lines.append(f"Label next: {best.task} ({Messages().render(best.reason)}){rows}")
    order = results.task_order
    if order and order.start and order.then:
        then = ", ".join(added.task for added in order.then)
        lines.append(f"Start with: {', '.join(order.start)}; then {then}")
    return lines


def money_lines(money: Money | None, say: Messages) -> list[str]:
    """Return what labels and running save in money, as far as there are prices.

    Args:
        money: of a study's results; None = no prices.
        say: the language.
    """
    if money is None:
        return []
    lines = []
    if total := money.total:
        span = say.span(total.low, total.high, 0)
        mean = say.count(total.mean)
        lines.append(say("money.total", mean=mean, interval=span, currency=money.currency))
    if running := money.running:
        unit = say.named("unit", running.unit)
        amounts = {key: getattr(running, key) for key in ("joint", "single", "saved")}
        if all(negligible(amount, money.currency) for amount in amounts.values()):
            lines.append(say("money.running_negligible", currency=money.currency))
        else:
            figures = {key: say.fixed(amount, 2) for key, amount in amounts.items()}
            lines.append(say("money.running", currency=money.currency, unit=unit, **figures))
    return lines


def _accuracy(figure: KeyFigure | None) -> str:
    if figure is None or figure.mean is None:
        return ""
    factor = 100 if figure.unit == "fraction" else 1
    return f"mean of the main metrics {_ends(figure, factor, 1, '+')} points"


def _cost(results: Results) -> str:
    money = results.money
    ratio = results.running.ratio if results.running else {}
    text = ""
    throughput, latency = (ratio.get(key, MeanInterval()) for key in ("throughput", "latency_1"))
    if throughput.mean and latency.mean:
        text = (
            f"running: {throughput.mean:.1f} times the rows per second, "
            f"{latency.mean:.2f} of the latency of a row"
        )
    if text and money and money.running:
        saved = money.running.saved
        amount = f"{saved:,.2f} {money.currency} {money.running.unit}"
        text += f", {'nothing' if negligible(saved, money.currency) else amount} saved"
    return text


def _labels(results: Results) -> list[str]:
    """Return the labels saved on the task where that is clearest, and the money of all."""
    curves = results.label_curves
    sure: dict[str, float] = {}
    for name, curve in curves.items():
        least = curve.beyond if curve.needed.low is None else curve.needed.low
        if least is not None and least > curve.has:
            sure[name] = least / curve.has
    if not curves:
        return []
    if not sure:
        return ["Labels saved: not shown on any task"]
    name = max(sure, key=lambda task: sure[task])
    curve = curves[name]
    needed = curve.needed
    needs = _ends(needed) if needed.mean is not None else f"more than {curve.beyond:,.0f}"
    line = (
        f"Labels saved: on {len(sure)} of {len(curves)} tasks; {name}: {curve.has:,} labels are "
        f"as good as {needs} without joining"
    )
    money = results.money
    if money and money.total:
        line += f"; {_ends(money.total)} {money.currency} in all"
    return [line]


def _ends(
    value: MeanInterval | KeyFigure, factor: float = 1, digits: int = 0, sign: str = ""
) -> str:
    mean, low, high = (
        None if end is None else factor * end for end in (value.mean, value.low, value.high)
    )
    say = Messages()
    interval = "" if low is high is None else f" ({say.span(low, high, digits, sign)})"
    return say.fixed(mean, digits, sign) + interval
