"""The readers on tiny files, generated in the exact layout of the official ones."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from command_line import CommandLine
from encoders_example import LetterCodes
from study_example import as_json

from labelweave.datasets import _demos as demos
from labelweave.datasets._demos import (
    EKMAN,
    GROUP_OF,
    ITEMS,
    SENTIMENT,
    read_fashion_mnist,
    read_goemotions,
    write_fashion_mnist,
    write_goemotions,
)
from labelweave.datasets._official import read_idx
from labelweave.errors import LabelweaveError
from labelweave.experiments import Study

EMOTIONS = sorted(GROUP_OF, key=lambda name: (name == "neutral", name))  # the official order
ODD = "\u2028"  # ends a line for str.splitlines, but not in these files
LINES = [
    f"text {i} with {ODD}{i % 7}\t{i % 28}{',2' if i % 10 == 9 else ''}\tid{i}" for i in range(280)
]


def idx(values: np.ndarray) -> bytes:
    return (
        bytes([0, 0, 8, values.ndim])
        + struct.pack(f">{values.ndim}I", *values.shape)
        + (values.astype(np.uint8).tobytes())
    )


def write_fashion(root: Path, train: int = 60, test: int = 20, compressed: bool = True) -> Path:
    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in {"train": train, "t10k": test}.items():
        labels = np.arange(n) % 10
        images = rng.integers(0, 60, (n, 28, 28))
        images[np.arange(n), 2 * labels, 3:25] = 255  # a bright line, lower for each kind
        for name, values in {"images-idx3": images, "labels-idx1": labels}.items():
            data = idx(values)
            path = root / f"{part}-{name}-ubyte"
            if compressed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data))
            else:
                path.write_bytes(data)
    return root


def write_emotions(root: Path, names: str = "labels.txt") -> Path:
    root.mkdir(exist_ok=True)
    (root / names).write_text("\n".join(EMOTIONS) + "\n")
    for part in ("train", "test"):
        (root / f"{part}.tsv").write_bytes(("\n".join(LINES) + "\n").encode())
    return root


def message(call, *arguments, **options) -> str:
    with pytest.raises(LabelweaveError) as error:
        call(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize("compressed", [True, False])
def test_idx_files_are_read_compressed_or_not(tmp_path: Path, compressed: bool) -> None:
    root = write_fashion(tmp_path / "f", compressed=compressed)
    images, labels = read_fashion_mnist(root, "t10k")
    assert images.shape == (20, 28, 28)
    assert labels.tolist() == [*range(10), *range(10)]
    assert all((image[2 * label, 3:25] == 255).all() for image, label in zip(images, labels))  # noqa: B905


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "found no head of an IDX file of unsigned bytes"),
        (b"\0\0\x0d\1\0\0\0\0", "found no head of an IDX file of unsigned bytes"),
        (
            idx(np.zeros((2, 3)))[:-1],
            "found 5 values, expected 6 for the shape [2, 3] in its head",
        ),
        (gzip.compress(idx(np.zeros(9)), mtime=0)[:-9], "damaged gzip file"),
    ],
)
def test_damaged_idx_files_are_reported(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(data)
    assert message(read_idx, path).startswith(f"{path}: {reason}")


def test_no_two_kinds_of_item_share_all_attributes() -> None:
    assert len(ITEMS) == len(set(ITEMS.values())) == 10


def test_fashion_mnist_runs_from_the_official_files_to_results(
    tmp_path: Path, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = demos.FASHION_MNIST_STUDY.replace("steps: 800", "steps: 10").replace("[128]", "[8]")
    quick = quick.replace("channels: [16, 32]", "channels: [4, 4]")
    for method in ("multi_task", "distribution_matching"):
        quick = quick.replace(f"  - {method}\n", "")
    quick = "".join(line for line in quick.splitlines(keepends=True) if "predictions" not in line)
    monkeypatch.setattr(demos, "FASHION_MNIST_STUDY", quick)
    root, out = write_fashion(tmp_path / "f"), tmp_path / "out"
    answer = cli("case", "fashion-mnist", "--root", root, "--k", 1, "--seeds", 1, "--out", out)
    path = out / "study.yaml"
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines()[:2] == [f"Study: {path}", f"Next: labelweave check {path}"]
    study = Study.from_file(path)
    (split,) = study.splits()
    assert split.train.inputs.shape == (60, 784)
    assert split.train.annotations.counts("item").tolist() == [1] * 10
    assert split.train.annotations.co_labelled().loc["item", "warm"] == 0
    assert len(split.test.index) == 20
    assert len(split.relations) == 5
    results = as_json(study.compare(jobs=1, progress=False))
    assert results["failures"] == []
    assert set(results["methods"]) == {"single_task", "full"}


def test_another_k_leaves_the_tables_alone(tmp_path: Path) -> None:
    root = write_fashion(tmp_path / "f")
    write_fashion_mnist(tmp_path, 1, 1, root, rows=30)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.parquet")}
    path = write_fashion_mnist(tmp_path, 1, 2, root, rows=30)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.parquet")} == before
    study = yaml.safe_load(path.read_text())
    assert study["name"] == "fashion-mnist-k2-10"
    assert [part.get("rows") for part in study["scatter"]] == [None, 10]  # all that are left
    table = pd.read_parquet(tmp_path / "train.parquet")
    assert table.shape == (30, 6 + 784)
    assert (table.dtypes.iloc[6:] == np.uint8).all()


def test_wrong_fashion_files_give_one_line(tmp_path: Path, cli: CommandLine) -> None:
    root = write_fashion(tmp_path / "f")
    labels = root / "t10k-labels-idx1-ubyte.gz"
    whole = labels.read_bytes()
    labels.unlink()
    assert cli.refused("case", "fashion-mnist", "--root", root, "--out", tmp_path / "o") == (
        f"{labels}: no such file, compressed or not; the Debian package dataset-fashion-mnist "
        "has it, or name the folder of the four files with --root"
    )
    assert not (tmp_path / "o").exists()
    labels.write_bytes(gzip.compress(idx(np.full(20, 11))))
    assert message(read_fashion_mnist, root, "t10k") == (
        f"{root}: part 't10k': found the label id 11, expected 0 to 9"
    )
    labels.write_bytes(gzip.compress(idx(np.zeros(19))))
    assert message(read_fashion_mnist, root, "t10k") == (
        f"{root}: part 't10k': found images of shape (20, 28, 28) and labels of shape (19,), "
        "expected (n, 28, 28) and (n,)"
    )
    labels.write_bytes(whole)
    assert message(write_fashion_mnist, tmp_path, 1, 6, root) == (
        "fashion-mnist: found 60 training images, expected more than 60"
    )


def test_the_reverse_is_many_classes_and_few_attributes(tmp_path: Path, cli: CommandLine) -> None:
    root, out = write_fashion(tmp_path / "f"), tmp_path / "out"
    command = ("case", "fashion-mnist", "--root", root, "--out", out, "--k", 5)
    assert cli(*command, "--others", 3).code == 0
    split = Study.from_file(out / "study.yaml").first_split()
    assert split.train.annotations.counts("item").tolist() == [5] * 10
    assert split.train.annotations.counts("worn_on").sum() == 3
    assert cli.refused(*command, "--others", 11) == (
        "fashion-mnist: found 60 training images, expected at least 61"
    )
    assert cli("case", "leaves", "--others", 40, "--out", tmp_path / "leaves").code == 0
    study = yaml.safe_load((tmp_path / "leaves" / "study.yaml").read_text())
    assert study["scatter"][1]["rows"] == 40


def test_the_groups_are_the_published_ones() -> None:
    assert len(GROUP_OF) == sum(map(len, EKMAN.values())) == 28
    assert len(EKMAN) == 7
    assert sorted(group for groups in SENTIMENT.values() for group in groups) == sorted(EKMAN)


@pytest.mark.parametrize("names", ["labels.txt", "emotions.txt"])
def test_texts_with_one_label_are_read(tmp_path: Path, names: str) -> None:
    frame = read_goemotions(write_emotions(tmp_path / "g", names), "train")
    assert len(frame) == 280 - 28
    assert frame.iloc[1].tolist() == ["id1", f"text 1 with {ODD}1", "amusement"]
    assert len(read_goemotions(tmp_path / "g", "train", 10)) == 9


def test_goemotions_runs_from_the_official_files_with_a_generated_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = demos.GOEMOTIONS_STUDY.replace("steps: 800", "steps: 20").replace("[256]", "[4]")
    monkeypatch.setattr(
        demos, "GOEMOTIONS_STUDY", quick.replace("seeds: {seeds}", "seeds: [{seeds}]")
    )
    root, encoder = write_emotions(tmp_path / "g"), LetterCodes()
    study = Study.from_file(write_goemotions(tmp_path / "o", 1, 2, root, encoder=encoder))
    (split,) = study.splits()
    assert split.train.inputs.shape == (252, 2)  # no id among the inputs
    assert split.train.annotations.counts("emotion").tolist() == [2] * 28
    assert {r.name for r in split.relations} == {"emotion->ekman", "emotion->sentiment"}
    assert all((r.table.max(axis=1) == 1).all() for r in split.relations)
    seen = len(encoder.batches)
    write_goemotions(tmp_path / "o", 1, 1, root, encoder=encoder)
    assert len(encoder.batches) == seen
    table = pd.read_parquet(tmp_path / "o" / "train.parquet")
    assert list(table.columns) == ["id", "emotion", "ekman", "sentiment", "v0", "v1"]
    assert table["v0"].dtype == np.float32


def test_wrong_emotion_files_give_one_line(tmp_path: Path, cli: CommandLine) -> None:
    assert cli.refused("case", "goemotions") == (
        "--root: found none, expected the folder of the official files"
    )
    root = write_emotions(tmp_path / "g")
    (root / "test.tsv").unlink()
    assert cli.refused("case", "goemotions", "--root", root) == (
        f"{root / 'test.tsv'}: no such file, expected the official layout of GoEmotions"
    )
    for line in ("no tabs", "text\t28\tid", "text\t\tid", "text\t1,x\tid"):
        (root / "test.tsv").write_text(f"{LINES[0]}\n{line}\n")
        assert message(read_goemotions, root, "test") == (
            f"{root / 'test.tsv'}: line 2: found {line!r}, expected a text, label ids from 0 to 27 "
            "and the comment's id, with tabs"
        )
    (root / "test.tsv").write_bytes(b"\xff\t1\tid\n")
    assert message(read_goemotions, root, "test") == (
        f"{root / 'test.tsv'}: not a text file in UTF-8"
    )
    names = root / "labels.txt"
    names.write_text("\n".join(EMOTIONS).replace("joy", "joi"))
    assert message(read_goemotions, root, "test") == (
        f"{names}: unknown emotion 'joi'; did you mean 'joy'?"
    )
    names.write_text("\n".join(EMOTIONS[1:]))
    assert message(read_goemotions, root, "test") == (
        f"{names}: expected each emotion once, not so: 'admiration'"
    )
    names.unlink()
    assert message(read_goemotions, root, "test") == (
        f"{names}: no such file (nor emotions.txt), expected the names of the labels of "
        "GoEmotions, in the order of their ids"
    )


def test_the_cases_of_packages_take_no_files(tmp_path: Path, cli: CommandLine) -> None:
    assert cli.refused("case", "digits", "--root", tmp_path) == (
        "--root: the data of this case come with a package, not as files"
    )
    answer = cli("case", "digits", "--k", 3, "--out", tmp_path / "digits")
    assert answer.code == 0
    study = yaml.safe_load((tmp_path / "digits" / "study.yaml").read_text())
    assert study["scatter"][0]["per_class"] == 3
