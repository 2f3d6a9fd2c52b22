"""The files of a study's sources, as descriptions of data sets name them."""

from pathlib import Path
from typing import TYPE_CHECKING

from labelweave.tasks import Binary, Multilabel
from labelweave.trust import DataColumn, DataFile

if TYPE_CHECKING:
    from labelweave.experiments._study import Study


def data_files(study: "Study") -> tuple[list[DataFile], list[str]]:
    """Return the files of a study with their columns, and the sources that are no single file.

    Args:
        study: the study, its data read.
    """
    schema = study.data.collection.schema
    kinds = {} if schema is None else {name: c.type for name, c in schema.columns.items()}
    by_name = {source.name: source for source in study.data.collection.sources}
    found, left_out = [], []
    for section in study.config.sources:
        path = None if section.path is None else study.folder / section.path
        source = by_name.get(section.called)
        if path is None or not path.is_file() or source is None or section.format is not None:
            left_out.append(section.called)
            continue
        labels: list[str] = []
        for task in source.annotations.tasks:
            if (source.annotations.labels[task.name] >= 0).any():
                several = isinstance(task, Multilabel) and not isinstance(task, Binary)
                labels += [str(name) for name in task.names] if several else [task.name]
        former = {new: old for old, new in section.rename.items()}
        inputs = [str(name) for name in source.inputs.columns]
        columns = [
            DataColumn(former.get(name, name), name, kinds.get(name, "text"), label)
            for names, label in ((inputs, False), (labels, True))
            for name in names
        ]
        url = Path(section.path or "").as_posix()
        found.append(DataFile(section.called, path, url, columns, section.license))
    return found, left_out
