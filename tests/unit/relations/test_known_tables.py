import numpy as np
import pytest

from labelweave.errors import LabelweaveError
from labelweave.relations import known_table, known_tables
from labelweave.tasks import Multiclass, Multilabel

NAME = "du-tao-martinez-2014"
EXPRESSIONS = ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise")
WIDTHS = {"aff-wild2": 12, "emotionet": 11, "disfa": 12, "bp4d": 12, "all-17": 17}


def relation_of(vocabulary, classes=EXPRESSIONS, **settings):
    table = known_table(NAME, vocabulary=vocabulary, **settings)
    units = Multilabel("units", tuple(table.frame.columns[1:]))
    (relation,) = table.relations("expression", [Multiclass("expression", classes), units])
    return relation


@pytest.mark.parametrize("vocabulary", WIDTHS)
def test_every_vocabulary_becomes_a_relation(vocabulary):
    relation = relation_of(vocabulary)
    assert relation.table.shape == (7, WIDTHS[vocabulary])
    silent = np.flatnonzero(~relation.mask.any(axis=0))
    unknown = [relation.target.names[j] for j in silent]
    assert unknown == (["AU14"] if vocabulary in ("bp4d", "all-17") else [])
    assert not relation.table[0].any()  # neutral


def test_the_published_weights():
    relation = relation_of("all-17")
    said = {
        row: {n: w for n, w in zip(relation.target.names, weights, strict=True) if w}
        for row, weights in zip(EXPRESSIONS, relation.table.tolist(), strict=True)
    }
    assert said == {
        "neutral": {},
        "anger": {"AU4": 1, "AU7": 1, "AU24": 1, "AU10": 0.26, "AU17": 0.52, "AU23": 0.29},
        "disgust": {"AU9": 1, "AU10": 1, "AU17": 1, "AU4": 0.31, "AU24": 0.26},
        "fear": {"AU1": 1, "AU4": 1, "AU20": 1, "AU25": 1, "AU2": 0.57, "AU5": 0.63, "AU26": 0.33},
        "happiness": {"AU12": 1, "AU25": 1, "AU6": 0.51},
        "sadness": {"AU4": 1, "AU15": 1, "AU1": 0.6, "AU6": 0.5, "AU17": 0.67},
        "surprise": {"AU1": 1, "AU2": 1, "AU25": 1, "AU26": 1, "AU5": 0.66},
    }


def test_the_weight_of_prototypical_units_can_be_set():
    full, soft = relation_of("disfa"), relation_of("disfa", strong=0.85)
    np.testing.assert_allclose(soft.table, np.where(full.table == 1, 0.85, full.table))


def test_classes_beyond_the_table_are_unknown():
    relation = relation_of("aff-wild2", (*EXPRESSIONS, "other"))
    assert not relation.mask[-1].any()
    assert relation.mask[:-1].all()


def test_the_source_is_cited():
    assert known_tables() == {NAME: tuple(WIDTHS)}
    table = known_table(NAME, vocabulary="bp4d")
    assert "Du, Y. Tao, A. M. Martinez" in table.citation
    assert "2014" in table.citation
    assert "prior, not the truth" in table.notes


def test_bad_names_give_one_line():
    cases = [
        ({"name": "du-martinez", "vocabulary": "bp4d"},
         "no known table 'du-martinez', expected 'du-tao-martinez-2014'; did you mean "
         "'du-tao-martinez-2014'?"),
        ({"name": NAME, "vocabulary": "affwild"},
         "known table 'du-tao-martinez-2014': no vocabulary 'affwild', expected 'aff-wild2', "
         "'emotionet', 'disfa', 'bp4d', 'all-17'; did you mean 'aff-wild2'?"),
        ({"name": NAME, "vocabulary": "bp4d", "strong": 2},
         "known table 'du-tao-martinez-2014': strong 2, expected a probability from 0 to 1"),
    ]  # fmt: skip
    for arguments, message in cases:
        with pytest.raises(LabelweaveError) as caught:
            known_table(**arguments)
        assert str(caught.value) == message
