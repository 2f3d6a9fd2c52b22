"""Trust: sets that cover, calibration, coherence, fairness, explanation, and what a model is."""

from typing import TYPE_CHECKING

from labelweave._lazy import lazy_face

if TYPE_CHECKING:
    from labelweave.evaluation._calibration_maps import Calibration, CalibrationMap
    from labelweave.trust._audit import Audit, audit_model, label_provenance, write_manifest
    from labelweave.trust._calibration import (
        CalibrationFigures,
        CrossFit,
        calibrated,
        calibration_figures,
        cross_calibrate,
        fit_calibration,
    )
    from labelweave.trust._card import model_card
    from labelweave.trust._coherence import coherent, contradictions, predict_coherent
    from labelweave.trust._croissant import DataColumn, DataFile, croissant
    from labelweave.trust._exchange import Exchange, make_exchange
    from labelweave.trust._exchange_file import read_exchange, write_exchange
    from labelweave.trust._fairness import (
        FairnessReport,
        GroupThresholds,
        compare_groups,
        fairness,
        fit_group_thresholds,
    )
    from labelweave.trust._forest import model_relations
    from labelweave.trust._gains import gain_sources
    from labelweave.trust._importance import input_importance
    from labelweave.trust._joint_sets import (
        JointFigures,
        JointRule,
        JointSets,
        evaluate_joint_sets,
        fit_joint_sets,
    )
    from labelweave.trust._licences import LicenceAnswer, licence_answers
    from labelweave.trust._membership import membership_advantage
    from labelweave.trust._predictions import Predictions, predict_rows
    from labelweave.trust._private import PrivateFit, fit_private
    from labelweave.trust._reweighing import group_weights
    from labelweave.trust._row_explanations import RowExplanation, explain_rows
    from labelweave.trust._selection import Abstention, Cut, fit_abstention, risk_coverage
    from labelweave.trust._sets import Promise, SetFigures, SetRule, evaluate_sets, fit_sets
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "labelweave.evaluation._calibration_maps": ["Calibration", "CalibrationMap"],
            "_audit": ["Audit", "audit_model", "label_provenance", "write_manifest"],
            "_calibration": [
                "CalibrationFigures",
                "CrossFit",
                "calibrated",
                "calibration_figures",
                "cross_calibrate",
                "fit_calibration",
            ],
            "_card": ["model_card"],
            "_coherence": ["coherent", "contradictions", "predict_coherent"],
            "_croissant": ["DataColumn", "DataFile", "croissant"],
            "_exchange": ["Exchange", "make_exchange"],
            "_exchange_file": ["read_exchange", "write_exchange"],
            "_fairness": [
                "FairnessReport",
                "GroupThresholds",
                "compare_groups",
                "fairness",
                "fit_group_thresholds",
            ],
            "_forest": ["model_relations"],
            "_gains": ["gain_sources"],
            "_importance": ["input_importance"],
            "_joint_sets": [
                "JointFigures",
                "JointRule",
                "JointSets",
                "evaluate_joint_sets",
                "fit_joint_sets",
            ],
            "_licences": ["LicenceAnswer", "licence_answers"],
            "_membership": ["membership_advantage"],
            "_predictions": ["Predictions", "predict_rows"],
            "_private": ["PrivateFit", "fit_private"],
            "_reweighing": ["group_weights"],
            "_row_explanations": ["RowExplanation", "explain_rows"],
            "_selection": ["Abstention", "Cut", "fit_abstention", "risk_coverage"],
            "_sets": ["Promise", "SetFigures", "SetRule", "evaluate_sets", "fit_sets"],
        },
    )

__all__ = [
    "Abstention",
    "Audit",
    "Calibration",
    "CalibrationFigures",
    "CalibrationMap",
    "CrossFit",
    "Cut",
    "DataColumn",
    "DataFile",
    "Exchange",
    "FairnessReport",
    "GroupThresholds",
    "JointFigures",
    "JointRule",
    "JointSets",
    "LicenceAnswer",
    "Predictions",
    "PrivateFit",
    "Promise",
    "RowExplanation",
    "SetFigures",
    "SetRule",
    "audit_model",
    "calibrated",
    "calibration_figures",
    "coherent",
    "compare_groups",
    "contradictions",
    "croissant",
    "cross_calibrate",
    "evaluate_joint_sets",
    "evaluate_sets",
    "explain_rows",
    "fairness",
    "fit_abstention",
    "fit_calibration",
    "fit_group_thresholds",
    "fit_joint_sets",
    "fit_private",
    "fit_sets",
    "gain_sources",
    "group_weights",
    "input_importance",
    "label_provenance",
    "licence_answers",
    "make_exchange",
    "membership_advantage",
    "model_card",
    "model_relations",
    "predict_coherent",
    "predict_rows",
    "read_exchange",
    "risk_coverage",
    "write_exchange",
    "write_manifest",
]
