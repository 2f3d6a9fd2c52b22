"""What a manager decides on: the verdict, three figures, reasons for and risks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labelweave.report.messages import Messages
from labelweave.report.tables import (
    checked,
    coupled_arms,
    mean_scores,
    tasks_with,
)
from labelweave.report.three_figures import Figure, three_figures
from labelweave.report.verdict import (
    blind_spot,
    counted,
    joining,
    outcome,
    recommended_arm,
    shown_arm,
)

FEW_SEEDS = 5
# what the results give a key for and the sentences below tell anyway
TOLD = {"gain", "negative_transfer", "no_gain", "fewer_networks", "few_seeds", "failed_runs"}


@dataclass(frozen=True)
class Decision:
    """The first screen of a report, in words.

    Attributes:
        key: "join", "join some", "do not join" or "cannot tell".
        verdict: the same, said in the report's language.
        figures: gain in accuracy, labels saved, running cost.
        reasons: sentences for the recommendation.
        risks: sentences that speak against trusting it too far.
    """

    key: str
    verdict: str
    figures: tuple[Figure, ...]
    reasons: tuple[str, ...]
    risks: tuple[str, ...]


def decide(results: Mapping[str, Any], say: Messages | None = None) -> Decision:
    """Return the decision that the results hold; what they leave out is made of their figures.

    Args:
        results: the content of a study's results.json.
        say: the language; default English.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    given = results["decision"]
    key = given.get("verdict") or joining(results, shown_arm(results))
    return Decision(
        key,
        say.named("decision", key),
        three_figures(results, say),
        tuple(reasons(results, say) + _said("reason", given.get("reasons"), say)),
        tuple(risks(results, say) + _said("risk", given.get("risks"), say)),
    )


def reasons(results: Mapping[str, Any], say: Messages | None = None) -> list[str]:
    """Return why `recommended_arm` is recommended, one sentence a reason.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    chosen, baseline = recommended_arm(results), str(results["baseline"])
    found = []
    means = mean_scores(results, [baseline, *coupled_arms(results)])
    if chosen in means:
        mean = say.fixed(means[chosen])
        others = [f"{arm} {say.fixed(m)}" for arm, m in means.items() if arm != chosen]
        key = "reason.means" if others else "reason.mean"
        found.append(say(key, arm=chosen, mean=mean, others=say.list(others)))
    if chosen != baseline:
        found.append(say("reason.outcome", arm=chosen, outcome=outcome(results, chosen, say)))
    for arm in means:
        harmed = tasks_with(results, arm, "negative transfer")
        if harmed:
            found.append(say("reason.ruled_out", arm=arm, tasks=counted(harmed, say)))
    costs = [results["costs"].get(arm, {}).get("networks") for arm in (chosen, baseline)]
    if all(costs) and costs[0] < costs[1]:
        found.append(say("reason.networks", n=costs[0], before=costs[1]))
    return found


def risks(results: Mapping[str, Any], say: Messages | None = None) -> list[str]:
    """Return what speaks against trusting the recommendation too far, one sentence a risk.

    Raises:
        LabelweaveError: the results are not those of a study.
    """
    results, say = checked(results), say or Messages()
    chosen, baseline = recommended_arm(results), str(results["baseline"])
    found = []
    pair = mean_scores(results, [chosen, "shuffled_relations"])
    if chosen != baseline and len(pair) == 2 and pair["shuffled_relations"] >= pair[chosen]:
        found.append(say("risk.shuffled", mean=say.short(pair["shuffled_relations"])))
    if len(mean_scores(results, [baseline, *coupled_arms(results)])) > 2:
        found.append(say("risk.selection"))
    unseen = blind_spot(results, say)
    if unseen:
        found.append(unseen + say.stop)
    if 0 < len(results["seeds"]) < FEW_SEEDS:
        found.append(say("risk.seeds", n=len(results["seeds"])))
    if results["failures"]:
        found.append(say("risk.failures", n=len(results["failures"])))
    return found


def _said(kind: str, entries: Sequence[Mapping[str, Any]] | None, say: Messages) -> list[str]:
    """Return given reasons or risks as sentences; one without a text is told as it stands."""
    found = []
    for entry in entries or []:
        key, given = entry["key"], entry.get("values") or {}
        if key in TOLD:
            continue
        values = {name: _plain(value, say) for name, value in given.items()}
        text = f"{kind}.{key}" + ("_open" if None in given.values() else "")
        try:
            found.append(say(text, **values))
        except KeyError:
            told = say.list([f"{name} {value}" for name, value in values.items()])
            found.append(f"{key}: {told}" if told else str(key))
    return found


def _plain(value: Any, say: Messages) -> object:
    if isinstance(value, float):
        return say.fixed(value, 0 if abs(value) >= 1 else 3)
    if isinstance(value, list):
        return say.names(value, 3)
    return value
