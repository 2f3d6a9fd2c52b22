"""Coupled stacks of images and texts: learners read columns made of them, networks read them."""

import numpy as np
import pandas as pd
import pytest
from image_example import SIDE, write_image_study, write_images
from study_example import as_json

from labelweave.estimator import MultiTaskClassifier
from labelweave.experiments import Study
from labelweave.fitting._stack import StackModel, load_model
from labelweave.fitting._views import MOST_PIXELS, LibraryView, averaged

LEARNERS = ["logistic", {"shared_network": {"steps": 30, "learning_rate": 0.02}}]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict[str, object]]:
    path = write_image_study(
        tmp_path_factory.mktemp("stack"),
        methods=["coupled", "student"], learners=LEARNERS, training={"steps": 30},
    )  # fmt: skip
    study = Study.from_file(path)
    return study, as_json(study.run(jobs=1, progress=False))


def test_a_stack_of_images_learns_and_teaches_a_network(ended):
    results = ended[1]
    assert results["failures"] == []
    for method in ("coupled", "student"):
        assert results["methods"][method]["kind"]["accuracy"]["mean"] > 0.9


def test_a_saved_stack_reads_images_itself_and_predicts_the_same(ended):
    study = ended[0]
    run = next(r for r in study._trained.runs["coupled"])
    model = load_model(run.folder / "model")
    assert isinstance(model, StackModel)
    assert set(model.stack.weights["kind"]) == {"logistic", "shared_network"}
    test = study.first_split().test
    given = model.probabilities(test.inputs)
    for name, expected in run.predictions().items():
        np.testing.assert_allclose(given[name], expected, atol=1e-6)
    assert model.features(test.inputs).shape == (40, 3 * SIDE * SIDE)


def test_the_classifier_couples_images(tmp_path):
    write_images(tmp_path)
    photos = sorted((tmp_path / "photos").glob("*/*"))
    X = pd.DataFrame({"image": [str(path) for path in photos]})
    y = pd.DataFrame({"kind": [path.parent.name for path in photos]})
    y["even"] = [int(path.stem) % 2 for path in photos]
    classifier = MultiTaskClassifier(
        image={"size": SIDE}, backbone="cnn", channels=[4], learners=["logistic"], steps=5,
    )  # fmt: skip
    p = classifier.fit(X, y).predict_proba(X)
    assert (p["kind"].argmax(axis=1) == np.repeat([0, 1, 2], 20)).all()


def test_large_images_are_averaged_over_squares():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (2, 3, 65, 64)).astype(np.uint8)
    found = averaged(images)
    assert found.shape == (2, 3 * 16 * 16)
    assert found.shape[1] <= MOST_PIXELS
    np.testing.assert_allclose(found[1, 0], images[1, 0, :4, :4].mean())
    small = rng.integers(0, 255, (2, 1, 28, 28)).astype(np.uint8)
    np.testing.assert_array_equal(averaged(small), small.reshape(2, -1))
    np.testing.assert_array_equal(LibraryView().columns(small), small.reshape(2, -1))
