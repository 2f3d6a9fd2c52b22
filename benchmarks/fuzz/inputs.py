"""The inputs, by class: each is a name, a command line, and a function that lays it on disk."""

import copy
import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load, save

Prepare = Callable[[Path], None]


@dataclass(frozen=True)
class Input:
    """One input.

    Attributes:
        name: says how it is made.
        command: arguments of ``labelweave``, relative to a copy of the example.
        prepare: changes the copy.
        refused: it cannot be right: exit code 0 is a failure too.
    """

    name: str
    command: tuple[str, ...]
    prepare: Prepare
    refused: bool = False


STUDY: dict[str, Any] = {
    "name": "fuzz",
    "tasks": [
        {"name": "kind"},
        {"name": "marks", "kind": "multilabel", "labels": ["round", "hole"]},
    ],
    "sources": [{"path": "a.csv"}, {"path": "b.csv"}],
    "relations": [{"source": "kind", "table": "kinds.csv"}],
    "methods": ["single_task", "multi_task"],
    "network": {"hidden": [8]},
    "training": {"steps": 20, "batch_size": 16},
    "split": {"test": 0.3},
    "seeds": 1,
    "statistics": {"replicates": 100},
    "label_curves": {"shares": [1.0], "seeds": 1},
    "label_next": 0,
}
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3.5, 10**9, 10**12, 10**21, -(10**30), float("nan"), float("inf"), 1e308,
    "", " ", "\x00", "\x1b[31mred", "a\nb", "\ud800", "\u202eabc",
    "x" * 100_000, "9" * 5000,
    "../..",
    "/dev/zero", "none", "[", [], {}, [[]], [None], {"a": {"b": []}}, [float("nan")], ["a"] * 5000,
    {"": ""}, [10**9], {"\x00": 1},
)  # fmt: skip


def write_example(folder: Path) -> None:
    """Write the tables, the relation table and the study file."""
    rng = np.random.default_rng(0)
    for name, task in (("a", "kind"), ("b", "marks")):
        x = rng.normal(size=(60, 3))
        kinds = np.array(["bolt", "disc", "ring"])[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0)]
        colours = rng.choice(["red", "blue"], 60)
        head = "u,v,w,colour," + ("kind" if task == "kind" else "round,hole")
        lines = [head]
        for row, kind, colour in zip(x, kinds, colours, strict=True):
            marks = f"{int(kind != 'bolt')},{int(kind == 'ring')}"
            numbers = ",".join(f"{value:.3f}" for value in row)
            lines.append(f"{numbers},{colour},{kind if task == 'kind' else marks}")
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    table = "kind,round,hole\nbolt,0.1,0.1\ndisc,0.9,0.1\nring,0.9,0.9\n"
    (folder / "kinds.csv").write_text(table, encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY), encoding="utf-8")


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of every value inside a value."""
    pairs: Any = ()
    if isinstance(content, dict):
        pairs = content.items()
    elif isinstance(content, list):
        pairs = list(enumerate(content))[:3]
    for key, value in pairs:
        yield (*path, key)
        yield from places(value, (*path, key))


def changed(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with another value at a place."""
    made = copy.deepcopy(content)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return made


def _written(path: str, text: str | bytes) -> Prepare:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return lambda folder: _replace(folder / path, data)


def _replace(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def studies(rng: random.Random, count: int) -> Iterator[Input]:
    """Study files with one value replaced, or one key added."""
    more = [
        ("network", "config"), ("training", "clip"), ("prices",), ("only",), ("scatter",),
        ("training", "weighting"), ("training", "sampling"), ("couplings",), ("inputs", "clip"),
        ("output",), ("tracking",), ("tune",), ("language",), ("label_shift",), ("teachers",),
    ]  # fmt: skip
    for number in range(count):
        content, value = copy.deepcopy(STUDY), rng.choice(ODD)
        if rng.random() < 0.4:
            path = rng.choice(more)
            if len(path) == 2:
                content.setdefault(path[0], {})
        else:
            path = rng.choice(list(places(content)))
        text = json.dumps(changed(content, path, value))  # JSON is YAML, escapes included
        name = f"{number}: {'.'.join(map(str, path))} = {str(value)[:20]!r}"
        yield Input(name, ("check", "study.yaml"), _written("study.yaml", text))


def bombs() -> Iterator[Input]:
    """Study files and JSON that grow, nest or cannot be."""
    aliases = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
    )
    merged = "a0: &a0 {x: 1}\n" + "".join(
        f"a{i}: &a{i} {{k{i}: 1, <<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
    )
    nested = "network: {config: {x: " + "{y: " * 3000 + "}" * 3002
    own = yaml.safe_dump(STUDY)
    texts: dict[str, str | bytes] = {
        "aliases": aliases + own, "aliases in network.config": own.replace(
            "network:", "network:\n  config:\n" + "".join(f"    {line}\n" for line in
                                                        aliases.splitlines())),
        "merged": merged + own, "nested": nested, "brackets": "[" * 50_000, "self": "a: &a [*a]",
        "date": own + "day: 2024-99-99\n", "int": own + "n: !!int abc\n",
        "digits": own + "n: " + "9" * 5000, "tag": "!!python/object/apply:os.system [id]",
        "timestamp": "n: !!timestamp abc", "bool": "n: !!bool abc", "utf-16": own.encode("utf-16"),
        "latin": own.encode() + b"\n# \xe9", "zero": own.encode() + b"\x00", "empty": "",
    }  # fmt: skip
    for name, text in texts.items():
        yield Input(name, ("check", "study.yaml"), _written("study.yaml", text), refused=True)
    for target, command in JSONS.items():
        broken: dict[str, str | bytes] = {
            "deep": "[" * 100_000, "deep but closed": "[" * 900 + "]" * 900, "digits": "9" * 5000,
            "list": "[1]", "empty object": "{}", "null": "null", "utf-16": b"\xff\xfe{}",
            "open": "{", "NaN": "NaN", "empty": "",
        }  # fmt: skip
        for name, text in broken.items():
            yield Input(f"{target} {name}", command, _written(target, text), refused=True)


RUN, MODEL, RESULTS = "run-folder", "model", "runs/fuzz"
PREDICT = ("predict", MODEL, "a.csv", "--out", "out.csv")
METHOD = "multi_task"
COMPARE = ("compare", RESULTS, RESULTS, "--method-a", METHOD, "--method-b", METHOD)
JSONS = {
    f"{MODEL}/model.json": PREDICT,
    f"{RESULTS}/results.json": ("report", RESULTS),
    f"{RESULTS}/runs/{RUN}/run.json": COMPARE,
}


def files() -> Iterator[Input]:
    """Put what is no regular file in the place of every file that is read."""

    def piped(path: str) -> Prepare:
        def prepare(folder: Path) -> None:
            (folder / path).unlink()
            os.mkfifo(folder / path)

        return prepare

    def linked(path: str, to: str) -> Prepare:
        def prepare(folder: Path) -> None:
            (folder / path).unlink()
            (folder / path).symlink_to(to)

        return prepare

    def foldered(path: str) -> Prepare:
        def prepare(folder: Path) -> None:
            (folder / path).unlink()
            (folder / path).mkdir()

        return prepare

    read = {
        "study.yaml": ("check", "study.yaml"), "a.csv": ("check", "study.yaml"),
        "kinds.csv": ("check", "study.yaml"), f"{MODEL}/weights.safetensors": PREDICT, **JSONS,
        f"{RESULTS}/runs/{RUN}/predictions.safetensors": COMPARE,
    }  # fmt: skip
    for path, command in read.items():
        yield Input(f"{path} a pipe", command, piped(path), refused=True)
        yield Input(f"{path} a folder", command, foldered(path), refused=True)
        for to in ("/dev/zero", "/dev/null", "/proc/self/mem", "nowhere", path.split("/")[-1]):
            yield Input(f"{path} -> {to}", command, linked(path, to), refused=True)
    for name in ("a\x1b.csv", "a\n.csv", "\udce9.csv", "a" * 300 + ".csv", "con.csv", "a:b.csv"):
        yield Input(f"{name!r}", ("predict", MODEL, name), lambda folder: None, refused=True)


def models(rng: random.Random, count: int, folder: Path) -> Iterator[Input]:
    """``model.json`` with one value replaced, and weights that cannot be right."""
    content = json.loads((folder / MODEL / "model.json").read_text(encoding="utf-8"))
    paths = list(places(content))
    for number in range(count):
        path, value = rng.choice(paths), rng.choice(ODD)
        text = json.dumps(changed(content, path, value))
        name = f"{number}: {'.'.join(map(str, path))} = {str(value)[:20]!r}"
        yield Input(name, PREDICT, _written(f"{MODEL}/model.json", text))
    for path, value in (
        (("format",), float("nan")), (("format",), -1), (("networks",), []), (("networks",), [[]]),
        (("networks", 0, 0, "classes"), list(range(200_000))),
        (("backbone", "options"), {"hidden": [10**9]}),
        (("backbone", "options"), {"hidden": [65_536] * 50}),
        (("thresholds",), {"marks": [0.5]}), (("thresholds",), {"marks": [float("nan")] * 2}),
        (("encoder", "numeric", "scale"), None),
        (("encoder", "numeric", "scale"), [None] * 3), (("encoder", "numeric", "scale"), [1.0]),
        (("encoder", "numeric", "mean"), [float("nan")] * 3),
        (("priors", "training", "kind"), [1.0]),
    ):  # fmt: skip
        text = json.dumps(changed(content, path, value))
        yield Input(f"{path} = {str(value)[:20]}", PREDICT, _written(f"{MODEL}/model.json", text),
                    refused=True)  # fmt: skip
    data = (folder / MODEL / "weights.safetensors").read_bytes()
    for name in sorted(load(data)):
        for odd in (float("nan"), float("inf"), 3e38, "shape", "gone"):
            tensors = {key: value.copy() for key, value in load(data).items()}
            if odd == "gone":
                del tensors[name]
            elif odd == "shape":
                tensors[name] = tensors[name][..., None]
            elif not np.issubdtype(tensors[name].dtype, np.floating):
                continue
            else:
                tensors[name].reshape(-1)[0] = odd
            made = save(tensors, metadata={"state": json.dumps({"format": 1})})
            yield Input(f"weight {name} {odd}", PREDICT,
                        _written(f"{MODEL}/weights.safetensors", made), refused=True)  # fmt: skip
    for number in range(count // 4):
        spoilt = bytearray(data)
        for _ in range(rng.randrange(1, 20)):
            spoilt[rng.randrange(min(len(spoilt), 400))] = rng.randrange(256)
        yield Input(f"weights bytes {number}", PREDICT,
                    _written(f"{MODEL}/weights.safetensors", bytes(spoilt)))  # fmt: skip


def tables(rng: random.Random, count: int, folder: Path) -> Iterator[Input]:
    """CSV files, relation tables and Parquet files with bytes replaced, put in or cut."""
    marks = [b'"', b"\x00", b"\xff", b"\x1b", b"\n", b"\r", b",", b";", b"\t", b"nan", b"1e400",
             b"=1+1", b"\xef\xbb\xbf", b"'", b"\xed\xa0\x80"]  # fmt: skip
    sources = {
        "a.csv": ("check", "study.yaml"), "kinds.csv": ("check", "study.yaml"),
        "p.parquet": ("predict", MODEL, "p.parquet"),
        f"{RESULTS}/results.json": ("report", RESULTS),
        f"{RESULTS}/runs/{RUN}/run.json": COMPARE,
    }  # fmt: skip
    for path, command in sources.items():
        data = (folder / path).read_bytes()
        for number in range(count):
            made = bytearray(data)
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(made))
                made[at : at + rng.choice((0, 1, 10))] = rng.choice(marks)
            if number % 10 == 0:
                del made[rng.randrange(len(made)) :]
            yield Input(f"{path} {number}", command, _written(path, bytes(made)))


def inputs(kind: str, seed: int, scale: float, folder: Path) -> list[Input]:
    """Return the inputs of a class.

    Args:
        kind: one of `KINDS`.
        seed: the same seed gives the same inputs.
        scale: factor on the numbers of random ones.
        folder: the example, with a model and results.
    """
    rng = random.Random(f"{kind} {seed}")
    made: dict[str, Callable[[], Iterator[Input]]] = {
        "studies": lambda: studies(rng, round(400 * scale)),
        "bombs": bombs,
        "files": files,
        "models": lambda: models(rng, round(300 * scale), folder),
        "tables": lambda: tables(rng, round(80 * scale), folder),
    }
    return list(made[kind]())


KINDS = ("bombs", "files", "models", "studies", "tables")
