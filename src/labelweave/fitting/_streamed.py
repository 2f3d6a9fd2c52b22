"""One network for all tasks, trained on a Parquet file that is larger than memory."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from labelweave._arguments import a_list
from labelweave.annotations import Annotations
from labelweave.class_priors import PREDICTION, assumed_prior, labelled_prior, score_prior
from labelweave.data._collection import label_columns
from labelweave.data._streamed import BlockShuffled, StreamedBatches
from labelweave.data._table_encoder import TableEncoder
from labelweave.errors import LabelweaveError, in_place, listing
from labelweave.fitting._config import FitConfig
from labelweave.losses import Objective
from labelweave.losses._task_losses import freed
from labelweave.model import Model, NetworkSpec, TrainingRecord
from labelweave.relations._transfer_weights import label_counts
from labelweave.tables._parquet import ParquetTable
from labelweave.tables._schema import Roles, Schema
from labelweave.tasks import Multiclass, Task, found_classes
from labelweave.training import Trainer

SAMPLE = 200_000  # rows by which the inputs' types and the encoder are decided
BUFFER = 2**19  # rows that are shuffled together
STREAM = 13  # its own random numbers


def fit_parquet(
    path: str | Path,
    tasks: Sequence[Task],
    config: FitConfig | None = None,
    *,
    exclude: Sequence[str] = (),
    seed: int = 0,
    sample: int = SAMPLE,
    buffer: int = BUFFER,
    folder: Path | None = None,
    progress: bool = False,
) -> Model:
    """Train the method ``multi_task`` on a Parquet file of any number of rows.

    In memory are the labels, as codes, and one block of row groups with at least `buffer` rows. The
    types of inputs, their medians, means and categories come from row groups drawn at random with
    about `sample` rows; the classes, class counts and priors from all rows. Every epoch takes the
    row groups in another random order and shuffles the rows of each block (`BlockShuffled`).

    >>> import pandas as pd
    >>> from labelweave import Multiclass
    >>> from labelweave.fitting import FitConfig
    >>> frame = pd.DataFrame({"a": range(60), "high": ["no", "yes"] * 30})
    >>> frame.to_parquet("rows.parquet", row_group_size=20)
    >>> config = FitConfig.model_validate({"training": {"steps": 5}})
    >>> fit_parquet("rows.parquet", [Multiclass("high")], config).tasks[0].names
    ('no', 'yes')

    Args:
        path: the file, or an ``s3://``, ``gs://`` or ``memory://`` address.
        tasks: the tasks; multiclass ones without classes take those of all rows.
        config: network and training; of the rest, class priors for predictions. No method that
            needs relations, teachers, validation rows or a choice of sampling.
        exclude: columns that are no inputs.
        seed: decides everything random.
        sample: rows that decide types and encoder.
        buffer: least rows that are shuffled together.
        folder: for checkpoints; an interrupted call on the same folder goes on from there.
        progress: show a bar over the steps.

    Raises:
        LabelweaveError: a file that cannot be read (`ParquetTable`), a task without a label, or
            settings that a table on disk cannot have.
        TrainingError: the loss is no longer finite.
    """
    config, table = config or FitConfig(), ParquetTable(path)
    _check(config)
    rng = np.random.default_rng([seed, STREAM])
    with in_place(table.place):
        labels = streamed_labels(table, a_list("tasks", tasks, "a list of tasks"))
    columns = [name for task in labels.tasks for name in label_columns(task)]
    schema, encoder = encoder_of_sample(table, columns, exclude, config, rng, sample)
    inputs = [name for name in schema.named("input") if name in table.columns]

    def read(groups: Sequence[int]) -> NDArray[np.float32]:
        with in_place(table.place):
            return encoder.transform(schema.apply(table.groups(groups, inputs)))

    training = config.training
    shares = {task.name: labelled_prior(labels, task.name) for task in labels.tasks}
    losses = config.losses()
    objective = Objective(
        labels.tasks, ramp=training.ramp, counts=label_counts(labels), losses=losses, shares=shares
    )
    spec = NetworkSpec(config.network.backbone, config.network.options())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = spec.build(encoder.shape_, labels.tasks)
    trainer = Trainer(training, seed=seed, folder=folder, progress=progress)
    sampler = BlockShuffled(table.group_rows, training.batch_size, seed, buffer)
    shard = trainer.fabric.global_rank, trainer.fabric.world_size
    batches = StreamedBatches(read, labels, sampler, trainer.fabric.device, shard)
    history = trainer.fit(network, objective, batches, training.total_steps(len(table)))
    prior = assumed_prior(config.label_shift.prediction, labels.tasks, PREDICTION)
    model = Model(encoder, spec, [network], prior=prior)
    assumed = {
        task.name: shares[task.name]
        if (loss := losses.get(task.name)) is None
        else score_prior(task, shares[task.name], freed(loss, task))
        for task in labels.tasks
    }
    model.priors = {"training": assumed, "population": shares, "drawn": {}}
    parameters = sum(weight.numel() for weight in network.parameters())
    model.record = TrainingRecord(curve=history.curve(), parameters=parameters, networks=1)
    return model


def _check(config: FitConfig) -> None:
    if config.inputs.media():
        raise LabelweaveError("a table on disk: found images or texts, expected numbers and words")
    if config.training.sampling != "proportional" or config.training.patience is not None:
        raise LabelweaveError(
            "a table on disk: found training.sampling or patience, expected neither: every row is "
            "met once an epoch, and none is held out"
        )


def streamed_labels(table: ParquetTable, tasks: Sequence[Task]) -> Annotations:
    """Return the labels of all rows, read part by part, with classes from all rows."""
    columns = [n for task in tasks for n in label_columns(task) if n in table.columns]
    if not columns:
        wanted = listing(n for task in tasks for n in label_columns(task))
        raise LabelweaveError(f"no label column, expected some of {wanted}")
    roles = Roles(labels={n: task.name for task in tasks for n in label_columns(task)})
    open_ = [task for task in tasks if isinstance(task, Multiclass) and task.classes is None]
    words: dict[str, set[str]] = {task.name: set() for task in open_}
    if words:
        for part in table.parts(BUFFER, [task.name for task in open_]):
            frame = Schema.infer([part], roles).apply(part)
            for name, found in words.items():
                found |= set(frame[name].dropna().unique())
    known: list[Task] = [
        replace(task, classes=found_classes(task.name, sorted(words[task.name])))
        if isinstance(task, Multiclass) and task.name in words
        else task
        for task in tasks
    ]
    codes: dict[str, NDArray[np.int64] | NDArray[np.int8]] = {}
    start = 0
    for part in table.parts(BUFFER, columns):
        labels = Annotations.from_columns(known, Schema.infer([part], roles).apply(part))
        for name, each in labels.labels.items():
            if name not in codes:
                codes[name] = np.empty((len(table), *each.shape[1:]), each.dtype)
            codes[name][start : start + len(part)] = each
        start += len(part)
    labels = Annotations(tuple(known), codes)
    for task in labels.tasks:
        if not labels.labelled(task.name).any():
            raise LabelweaveError(f"task '{task.name}': no row carries its label")
    return labels


def encoder_of_sample(
    table: ParquetTable,
    labels: Sequence[str],
    exclude: Sequence[str],
    config: FitConfig,
    rng: np.random.Generator,
    sample: int,
) -> tuple[Schema, TableEncoder]:
    """Return the schema and the encoder, decided by row groups drawn at random."""
    order = rng.permutation(np.flatnonzero(table.group_rows))
    before = np.cumsum(table.group_rows[order]) - table.group_rows[order]
    section = config.inputs
    inputs = [name for name in table.columns if name not in labels]
    roles = Roles(
        excluded=exclude, categorical=section.categorical, hashed=section.hashed,
        dates=section.dates,
    )  # fmt: skip
    part = table.groups(np.sort(order[before < sample]).tolist(), inputs)
    schema = Schema.infer([part], roles)
    encoder = TableEncoder(
        categorical=[*section.categorical, *section.hashed], clip=section.clip,
        max_categories=section.max_categories, scale=section.scale,
    )  # fmt: skip
    with in_place(table.place):
        encoder.fit(schema.apply(part, all_columns=False))
    encoder.schema = schema
    return schema, encoder
