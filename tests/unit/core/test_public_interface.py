"""The names that users may rely on: the list of each package, and a docstring for each name."""

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import labelweave

PUBLIC = {
    "labelweave": """Annotations Binary LabelweaveError Model MultiTaskClassifier Multiclass
        Multilabel NoisyOr Relatedness Relation Source Study TrainingError
        load read_knowledge read_table relate trust_packages""",
    "labelweave.annotations": "Annotations",
    "labelweave.balancing": """
        Equal GradientMethod LossWeighting Mixture Proportional SAMPLERS Sampler Shares
        Temperature WEIGHTINGS sampler weighting""",
    "labelweave.class_priors": """
        AssumedPrior PriorChoice adjust assumed_prior estimate_prior source_priors""",
    "labelweave.coupling": """
        Candidate CoupledStack Strength fit_best_single fit_coupled""",
    "labelweave.data": """
        Collection Coverage ImageFormat Inputs Part Source infer_tasks leak_check scatter
        split_rows table_source""",
    "labelweave.datasets": """
        DataSet Reader described_cases find_reader write_digits write_leaves write_named""",
    "labelweave.errors": "LabelweaveError LabelweaveWarning TrainingError WriteError",
    "labelweave.estimator": "MultiTaskClassifier likely_mislabelled",
    "labelweave.evaluation": """
        Difference Estimate Reliability TestResult Verdict best_temperature best_thresholds
        cohens_h compare evaluate holm main_metric metric_names recommend reliability
        summarise verdict""",
    "labelweave.experiments": """
        DaskCluster Engine Inspection LocalProcesses Study StudyConfig parse_study
        read_study_file run_ablation tune write_tuning""",
    "labelweave.fitting": """
        FitConfig METHODS Method Predictor Rows Split find_method find_relatedness fit
        fit_parquet load_model make_training_split with_relations""",
    "labelweave.learners": """
        Boosting Discriminant ExtraTrees JointLearner JointModel KernelLogistic LEARNERS Learner
        LearnerChoice Logistic Member RandomForest Size Svm TaskModel TaskStack UserLearner
        fit_task resolve_learners""",
    "labelweave.losses": """
        COUPLINGS CoAnnotation Coupling Distillation DistributionMatching ForwardCorrected
        Labels Logits Loss NoisyOrCoAnnotation NoisyOrMatching Objective Reweighted
        Supervised TASK_LOSSES Terms masked_binary_cross_entropy
        masked_cross_entropy""",
    "labelweave.model": "EncodedPredictor Model Predictor",
    "labelweave.networks": "BACKBONES Backbone MultiTaskNetwork backbone probabilities",
    "labelweave.relations": """
        AnyRelation EstimatedRelation Evidence HeldOut Noise NoiseReport NoisyOr Relatedness
        Relation TaskPair TransferWeights count_relation estimate_noise estimate_noisy_or
        estimate_relations estimate_transfer_weights evaluate_noisy_or evaluate_relation
        known_table known_tables load_relatedness propose rank_pairs read_knowledge
        read_relations relate reverse save_relatedness source_posterior""",
    "labelweave.report": """
        languages print_ablation print_compared print_decision print_relatedness
        print_results print_tuning read_results write_ablation write_heat_map write_html
        write_markdown write_report write_results_csv write_slide write_summary""",
    "labelweave.results": """
        ALONE AblationRow AddedTask ApartPair BlindSpot CONTROLS COUPLED Cell Cells
        Check ClassFigures Confusion ControlAhead CurvePoint Disagreement EstimatedTable
        FORMAT Failure Finding GainPart GroupEffect GroupEffects InputImportance
        InputsMeasured Joining KeyFigure LabelCounts LabelLift LabelMoney
        LabelNoiseSummary LabelPlan Latency LossTerms MeanInterval MethodCosts
        MethodLearning ModelCosts Money NETWORKS_ALONE Outcome PairGain PlannedTask
        Recommendation RelatednessSummary RelationEvidence RelationTable ReliabilityBin
        Results RunFacts RunningCosts RunningMoney StartProposal TaskCalibration
        TaskDetails TaskFacts TaskLabelCurve TaskLearning TaskNoise TaskOrder Teaching
        Word cell decision_baseline keep_check plain read_results typed""",
    "labelweave.importers": "read_annotations",
    "labelweave.serving": """
        Expected Export FinalFacts FinalModel Forgetting Int8Loss Monitoring PrivateModel Signal
        TaskOutlook Update UpdatedTask export_model finish finish_private forget load monitor
        predict_parquet prediction_table prediction_tables rollback update""",
    "labelweave.tables": """
        Column DataFinding ParquetTable ReadOptions Roles Schema SourceTable Table
        inspect_tables read_cells read_folder read_table""",
    "labelweave.tasks": "Binary Label Multiclass Multilabel Task task_from_dict task_to_dict",
    "labelweave.tracking": "FinishedRun MLflow RunsFile TRACKERS TensorBoard Tracker",
    "labelweave.trust": """
        Abstention Audit Calibration CalibrationFigures CalibrationMap CrossFit Cut
        DataColumn DataFile Exchange FairnessReport GroupThresholds JointFigures JointRule
        JointSets LicenceAnswer Predictions PrivateFit Promise RowExplanation SetFigures SetRule
        audit_model calibrated calibration_figures coherent compare_groups
        contradictions croissant cross_calibrate evaluate_joint_sets evaluate_sets
        explain_rows fairness fit_abstention fit_calibration fit_group_thresholds
        fit_joint_sets fit_private fit_sets gain_sources group_weights input_importance
        label_provenance
        licence_answers make_exchange membership_advantage model_card model_relations
        predict_coherent predict_rows read_exchange risk_coverage write_exchange write_manifest""",
    "labelweave.training": "AugmentConfig History Trainer TrainingConfig",
}
NAMES = [(module, name) for module, names in PUBLIC.items() for name in names.split()]


def test_every_public_module_is_on_the_list() -> None:
    found = {
        f"labelweave.{each.name}"
        for each in pkgutil.iter_modules(labelweave.__path__)
        if not each.name.startswith("_")
    }
    without = {"labelweave.cli"}  # nothing of it is for use in Python
    assert found - without == set(PUBLIC) - {"labelweave"}


@pytest.mark.parametrize("module", PUBLIC)
def test_a_module_exports_the_names_of_the_list(module: str) -> None:
    assert sorted(import_module(module).__all__) == sorted(PUBLIC[module].split())


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_every_public_name_is_described(module: str, name: str) -> None:
    described = getattr(import_module(module), name)
    if not (inspect.isclass(described) or inspect.isfunction(described)):
        return  # a constant or an alias of a type
    text = inspect.getdoc(described) or ""
    assert len(text) > 40
    if inspect.isfunction(described):
        missing = [each for each in inspect.signature(described).parameters if each not in text]
        assert missing == []


def test_the_top_names_are_completed_by_tab_and_an_unknown_one_is_refused() -> None:
    assert set(PUBLIC["labelweave"].split()) <= set(dir(labelweave))
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        labelweave.Studdy  # noqa: B018


def test_importing_labelweave_or_its_data_sets_loads_no_reader() -> None:
    code = (
        "import sys, labelweave; assert 'torch' not in sys.modules; import labelweave.datasets;"
        "print(sorted(m.rpartition('.')[2] for m in sys.modules if 'labelweave.datasets.' in m))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "['_official', '_registry', '_writing']"
