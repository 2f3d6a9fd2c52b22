"""Three figures to decide by, the verdict, its reasons and risks: keys and values, no sentences.

A report says them in the reader's language.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labelweave.evaluation import Replicates, main_metric
from labelweave.evaluation.curve_fit import interval, mean_draws
from labelweave.remarks import Remark
from labelweave.report import FEW_SEEDS, joining
from labelweave.study.curves import TaskCurve, saved_to_dict, shown, total_saved


def decide(
    results: Mapping[str, Any],
    arm: str,
    pairs: Sequence[tuple[Replicates, Replicates]],
    curves: Mapping[str, TaskCurve],
    level: float,
) -> dict[str, Any]:
    """Return the verdict on an arm (`labelweave.report.joining`), figures, reasons and risks.

    Args:
        results: of the study, with ``costs`` and ``money`` as far as there are any.
        arm: the joint arm.
        pairs: of every task with data, the joint arm's metrics and the baseline's.
        curves: by task its label curve.
        level: that of the intervals.
    """
    verdicts = results["verdicts"].get(arm, {})
    by_word = {
        word: [name for name, found in verdicts.items() if found == word]
        for word in ("gain", "negative transfer", "not enough data")
    }
    gains, harmed, unclear = by_word.values()
    return {
        "verdict": joining(results, arm),
        "arm": arm,
        "figures": [_accuracy(pairs, level), _labels(curves, level), _cost(results)],
        "reasons": _reasons(results, arm, gains, harmed, curves, level),
        "risks": _risks(results, unclear, curves),
    }


def _figure(key: str, value: Any, unit: str, assumption: str) -> dict[str, Any]:
    return {"key": key, "value": value, "unit": unit, "assumption": assumption}


def _accuracy(pairs: Sequence[tuple[Replicates, Replicates]], level: float) -> dict[str, Any]:
    assumption = Remark("assumption.accuracy")
    gains: list[NDArray[np.float64]] = []
    for joint, single in pairs:
        metric = main_metric(joint.task)
        gains.append(
            mean_draws(
                joint.values[metric] - single.values[metric],
                joint.replicates[metric] - single.replicates[metric],
            )
        )
    value = saved_to_dict(np.clip(np.mean(gains, axis=0), -1, 1), level) if gains else None
    return _figure("accuracy", value, "fraction", assumption)


def _labels(curves: Mapping[str, TaskCurve], level: float) -> dict[str, Any]:
    on = len(shown(curves, level))
    assumption = Remark("assumption.labels_shown", shown=on, n=len(curves))
    value = total_saved(curves, dict.fromkeys(curves, 1.0), level) if curves else None
    return _figure("labels", value, "labels", assumption)


def _cost(results: Mapping[str, Any]) -> dict[str, Any]:
    running = (results.get("money") or {}).get("running")
    if running:
        value = {"mean": running["saved"], "low": None, "high": None}
        unit = f"{results['money']['currency']} {running['unit']}"
        return _figure("cost", value, unit, running["assumption"])
    ratio = results["costs"].get("ratio", {}).get("throughput")
    relative = {"mean": ratio, "low": None, "high": None} if ratio else None
    unit = "times the rows per second"
    return _figure("cost", relative, unit, Remark("assumption.cost_speed"))


def _reasons(
    results: Mapping[str, Any],
    arm: str,
    gains: Sequence[str],
    harmed: Sequence[str],
    curves: Mapping[str, TaskCurve],
    level: float,
) -> list[dict[str, Any]]:
    metrics = {task["name"]: task["main_metric"] for task in results["tasks"]}
    found = []
    for key, names in (("gain", gains), ("negative_transfer", harmed)):
        for name in names:
            change = results["differences"][arm][name][metrics[name]]
            values = {part: change[part] for part in ("mean", "low", "high")}
            found.append({"key": key, "values": {"task": name, **values}})
    if not gains:
        found.append({"key": "no_gain", "values": {"arm": arm}})
    for name in shown(curves, level):
        saved = curves[name].saved
        low, _ = interval(saved, level)
        known = bool(np.isfinite(saved[0]))
        values = {
            "task": name, "saved": float(saved[0]) if known else None, "low": low,
            "has": curves[name].has,
        }  # fmt: skip
        found.append({"key": "labels_saved", "values": values})
    joint, single = (results["costs"].get(side) for side in ("joint", "single"))
    if joint and single and joint["networks"] < single["networks"]:
        values = {"joint": joint["networks"], "single": single["networks"]}
        found.append({"key": "fewer_networks", "values": values})
    return found


def _risks(
    results: Mapping[str, Any], unclear: Sequence[str], curves: Mapping[str, TaskCurve]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if unclear:
        found.append({"key": "not_enough_data", "values": {"tasks": list(unclear)}})
    seeds = len(results["seeds"])
    if seeds < FEW_SEEDS:
        found.append({"key": "few_seeds", "values": {"seeds": seeds}})
    guessed = [name for name, curve in curves.items() if curve.needed[0] > curve.points[-1].labels]
    if guessed:
        found.append({"key": "extrapolated", "values": {"tasks": guessed}})
    if results["failures"]:
        found.append({"key": "failed_runs", "values": {"runs": len(results["failures"])}})
    return found
