"""The results of a study: typed, written to and read from one JSON text with a format number."""

from labelweave.results._figures import (
    AblationRow,
    Calibration,
    Cell,
    Cells,
    CurvePoint,
    Failure,
    LabelCounts,
    LabelMoney,
    LabelPlan,
    Latency,
    LossTerms,
    MethodCosts,
    MethodLearning,
    ModelCosts,
    Money,
    PlannedTask,
    ReliabilityBin,
    RunFacts,
    RunningCosts,
    RunningMoney,
    TaskFacts,
    TaskLabelCurve,
    TaskLearning,
)
from labelweave.results._json import plain, typed
from labelweave.results._recommendation import (
    BlindSpot,
    ControlAhead,
    Finding,
    Joining,
    KeyFigure,
    Outcome,
    Recommendation,
)
from labelweave.results._relations import (
    AddedTask,
    ApartPair,
    Disagreement,
    EstimatedTable,
    LabelLift,
    LabelNoise,
    MeanInterval,
    PairGain,
    RelatednessSummary,
    RelationEvidence,
    RelationTable,
    StartProposal,
    TaskNoise,
    TaskOrder,
)
from labelweave.results._results import (
    CONTROLS,
    COUPLED,
    FORMAT,
    Results,
    Word,
    cell,
    read_results,
)

__all__ = [
    "CONTROLS", "COUPLED", "FORMAT",
    "AblationRow", "AddedTask", "ApartPair", "BlindSpot", "Calibration", "Cell", "Cells",
    "ControlAhead", "CurvePoint", "Disagreement", "EstimatedTable", "Failure", "Finding",
    "Joining", "KeyFigure", "LabelCounts", "LabelLift", "LabelMoney", "LabelNoise", "LabelPlan",
    "Latency", "LossTerms", "MeanInterval", "MethodCosts", "MethodLearning", "ModelCosts", "Money",
    "Outcome", "PairGain", "PlannedTask", "Recommendation", "RelatednessSummary",
    "RelationEvidence", "RelationTable", "ReliabilityBin", "Results", "RunFacts", "RunningCosts",
    "RunningMoney", "StartProposal", "TaskFacts", "TaskLabelCurve", "TaskLearning", "TaskNoise",
    "TaskOrder", "Word", "cell", "plain", "read_results", "typed",
]  # fmt: skip
