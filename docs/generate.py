"""Writes the pages of docs/reference that follow from the code; `make docs` runs it first.

`study-file.md` is kept in the repository; the pages of commands, of the Python interface and of
measured results (from benchmarks/RESULTS.md) are made for the site alone.

Run: python docs/generate.py
"""

import inspect
import pkgutil
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import typer
from pydantic import BaseModel

import labelweave
from labelweave.balancing import SAMPLERS, WEIGHTINGS
from labelweave.balancing._sampling import TITLES
from labelweave.cli import app
from labelweave.experiments import StudyConfig
from labelweave.experiments import _sections as sections
from labelweave.experiments._sections import (
    MethodSection,
    MethodTrainingSection,
    SourceSection,
    TrackerSection,
    TuneSection,
)
from labelweave.fitting._inputs import ImageSection, InputsSection, TextSection
from labelweave.fitting._methods import METHODS
from labelweave.fitting._sections import (
    LabelShiftSection,
    NetworkSection,
    RelatednessSection,
    SplitSection,
    TeachersSection,
)
from labelweave.losses import TASK_LOSSES
from labelweave.losses._task_losses import LOSS_TITLES, MULTICLASS_ONLY, MULTILABEL_ONLY
from labelweave.training import AugmentConfig, TrainingConfig

REFERENCE = Path(__file__).with_name("reference")
RESULTS = Path(__file__).parents[1] / "benchmarks" / "RESULTS.md"
SECTIONS: dict[str, type[BaseModel]] = {
    "tasks": sections.TaskSection,
    "sources": SourceSection,
    "sources.read": sections.ReadSection,
    "sources.join": sections.JoinSection,
    "relations": sections.RelationSection,
    "split": SplitSection,
    "scatter": sections.PartSection,
    "inputs": InputsSection,
    "inputs.image": ImageSection,
    "inputs.text": TextSection,
    "relatedness": RelatednessSection,
    "label_shift": LabelShiftSection,
    "teachers": TeachersSection,
    "network": NetworkSection,
    "training": TrainingConfig,
    "training.augment": AugmentConfig,
    "statistics": sections.StatisticsSection,
    "label_curves": sections.LabelCurvesSection,
    "prices": sections.PricesSection,
    "tracking": TrackerSection,
    "tune": TuneSection,
}
HEAD = """\
# The study file, key by key

Paths are relative to the study file. An unknown key is an error that names the nearest valid one.
This page is written by `python docs/generate.py`.
"""
ORIGINS = """\
`relatedness: {from: ...}` sets the evidence for the relations of all coupled methods. A method can
set it, too: `{method: full, relations: {from: predictions}}`, called `full.predictions` in results.
`from` is `all` (the default: the tables as a prior, corrected by all other evidence), `knowledge`
(the tables), `annotations` (counts of co-labelled rows), `predictions` (of the method `multi_task`,
with the counts) or `given`. For every seed the relations are estimated on the training rows. Only
relations that hold on held-out rows couple tasks; the report lists the others with the reason.
With `given` the tables are used as they are, unchecked: a wrong one does harm.

With `noise: estimate` next to its `relations` (in results `full.predictions.noise`) a method
estimates the label noise, couples by the tables of clean labels, and corrects for the noise. Labels
that are likely wrong are listed in `mislabelled.csv` next to the results
([noise.md](../howto/noise.md)).

A method can have its own coupling options, under another name:
`{method: full, name: full paper, couplings: {distribution_matching: {form: paper}, co_annotation:
{backward: paper}}}`. They replace the study's `couplings`, option by option. Such a
method is compared like any other, but only a usual method can be recommended.
`labelweave ablate` compares the forms without any change to the file
([ablation.md](../howto/ablation.md)).

A coupled method that names `distillation` also learns from the single-task networks:
`{method: full, name: full taught, couplings: {distillation: {weight: 0.1}}}`.
"""
COUPLINGS = """\
## `couplings`

The options of each coupling, for example `distribution_matching: {form: js, weight: 0.5}`.

| coupling | options |
|---|---|
| `distribution_matching` | `form`: symmetric (default), js, source_to_target, target_to_source, \
paper; `smoothing`: how far tables are mixed with the uniform distribution (0.01); \
`weight` (0.3; paper: 1); `fade` (as measured, else 20) |
| `co_annotation` | `forward`: soft_labels (default), hard or null; `backward`: marginal \
(default), posterior, paper, hard or null; `temperature` of paper (1); `smoothing` (0.01); \
`weight` (0.3; paper and hard: 1); `fade` (as measured, else 20) |
| `distillation` | `temperature` that both sides are softened by (2), `weights` of the tasks' \
terms (1), each one number or task: number; `weight` (1) |

The couplings of a task are scaled by its transfer weight, which is measured where relations are
checked (`relatedness`). A number for `fade` replaces it by `fade / (fade + n)`, where n counts the
task's labels of a class, or of a label's rarer side. Tables taken as given use this with 20.
`null` = no fading. The forms `paper` and `hard` never fade.
"""


LOSSES = """\
## `loss` of a task

The supervised loss of a task, for very unequal classes
([imbalance.md](../howto/imbalance.md)): a name, a name with its options, `{focal: {gamma: 1}}`,
or with a bare value, `{focal: 1}`.

| name | what it does | for | options |
|---|---|---|---|
"""
SAMPLED = """\
## `training.sampling`

The share of every source in a batch ([imbalance.md](../howto/imbalance.md)): a name, or a name
with its options, `{equal: {balance: species}}`. With `balance`, a multiclass or binary task, the
labelled rows of every source give that task's classes equally often.

| name | a source's share | options |
|---|---|---|
"""
WEIGHTED = """\
## `training.weighting`

How the tasks are weighed against each other ([imbalance.md](../howto/imbalance.md)): a name, or
a name with its options, `{cagrad: {c: 0.4}}`. A network of one task has no weighting.

| name | by | what it does | options |
|---|---|---|---|
"""


def page() -> str:
    """Return the text of docs/reference/study-file.md."""
    parts = [HEAD, _section("The study", StudyConfig)]
    parts += [_section(f"`{name}`", section) for name, section in SECTIONS.items()]
    methods = [f"| `{method.name}` | {method.title} |" for method in METHODS.values()]
    head = ["## `methods`", "", "| method | what it is |", "|---|---|"]
    own = [
        _section("An entry with its own settings", MethodSection).replace("## ", "### "),
        ORIGINS,
        _section("`training` of an entry", MethodTrainingSection).replace("## ", "### "),
    ]
    parts += [
        "\n".join([*head, *methods, "", *own]),
        COUPLINGS,
        _losses(),
        _samplings(),
        _weightings(),
    ]
    return "\n".join(parts)


def _losses() -> str:
    kinds = dict.fromkeys(MULTICLASS_ONLY, "multiclass") | dict.fromkeys(
        MULTILABEL_ONLY, "multilabel, binary"
    )
    rows = [
        f"| `{name}` | {LOSS_TITLES[name]} | {kinds.get(name, 'all')} | {_options(each)} |\n"
        for name, each in TASK_LOSSES.items()
    ]
    return LOSSES + "".join(rows)


def _samplings() -> str:
    rows = [f"| `{n}` | {TITLES[n]} | {_options(each)} |\n" for n, each in SAMPLERS.items()]
    return SAMPLED + "".join(rows)


def _weightings() -> str:
    rows = [
        f"| `{name}` | {each.kind} | {each.title} | {_options(each.options)} |\n"
        for name, each in WEIGHTINGS.items()
    ]
    return WEIGHTED + "".join(rows)


def _options(options: type[BaseModel]) -> str:
    fields = options.model_fields.items()
    return ", ".join(f"`{key}` ({_value(field.default)})" for key, field in fields)


def _value(default: object) -> str:
    return "none" if default in ({}, None) else str(default)


def _section(title: str, section: type[BaseModel]) -> str:
    head, _, attributes = (inspect.getdoc(section) or "").partition("Attributes:\n")
    lines = [f"## {title}", "", head.strip(), "", "| key | meaning | default |", "|---|---|---|"]
    entries = re.finditer(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    for name, meaning in (entry.groups() for entry in entries):
        text = re.sub(r"\s+", " ", meaning).replace("``", "`").replace("|", "\\|")
        lines.append(f"| `{name}` | {text} | {_default(section, name)} |")
    return "\n".join([*lines, ""])


def _default(section: type[BaseModel], name: str) -> str:
    fields = {field.alias or key: field for key, field in section.model_fields.items()}
    field = fields[name]
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return "see below"
    return "-" if field.default in (None, [], {}) else f"`{field.default}`"


def modules() -> list[str]:
    """Return the public modules that export something, in the order of their names."""
    names = [each.name for each in pkgutil.iter_modules(labelweave.__path__)]
    public = [f"labelweave.{name}" for name in names if not name.startswith("_")]
    return [name for name in public if getattr(import_module(name), "__all__", ())]


def api_pages() -> dict[str, str]:
    """Return the pages of the Python interface by file name: one a module, and their index."""
    pages = {f"{module}.md": _module_page(module) for module in modules()}
    homes = {name: home for home, names in labelweave._HOMES.items() for name in names}
    top = [
        f"- {{py:obj}}`labelweave.{homes[name]}.{name}`"
        for name in sorted(homes)
        if not homes[name].startswith("_")
    ]
    pages["index.md"] = "\n".join(
        [
            "# Python interface",
            "",
            "These names are imported from `labelweave` itself:",
            "",
            *top,
            "",
            "```{eval-rst}",
            ".. autofunction:: labelweave.trust_packages",
            "```",
            "",
            "```{toctree}",
            ":titlesonly:",
            *modules(),
            "```",
            "",
        ]
    )
    return pages


def _module_page(module: str) -> str:
    names = import_module(module).__all__
    head = (inspect.getdoc(import_module(module)) or "").splitlines()[0]
    lines = [f"# `{module}`", "", head, "", "```{eval-rst}"]
    for name in names:
        lines += [_directive(module, name), ""]
    return "\n".join([*lines, "```", ""])


def _directive(module: str, name: str) -> str:
    described = getattr(import_module(module), name)
    if inspect.isclass(described):
        return f".. autoclass:: {module}.{name}\n   :members:\n   :show-inheritance:"
    if inspect.isfunction(described):
        return f".. autofunction:: {module}.{name}"
    if isinstance(described, Mapping):  # a registry
        body = "The entries by name: " + ", ".join(f"``{key}``" for key in described) + "."
    else:
        body = f"The type ``{str(described).replace('typing.', '')}``."
    return f".. py:data:: {module}.{name}\n\n   {body}"


def commands_page() -> str:
    """Return the page of all commands, from their help."""
    root = typer.main.get_command(app)
    parts = ["# The commands", "", "`labelweave COMMAND --help` shows the same in a terminal.", ""]
    parts += ["## Options of every command", "", *_parameters(root), ""]
    for name, command in sorted(root.commands.items()):  # type: ignore[attr-defined]
        if command.hidden:
            continue
        context = click.Context(command, info_name=f"labelweave {name}")
        usage = command.get_usage(context).removeprefix("Usage: ")
        parts += [f"## `{name}`", "", "```", usage, "```", ""]
        parts += [inspect.cleandoc(command.help or ""), "", *_parameters(command), ""]
    return "\n".join(parts)


def _parameters(command: Any) -> list[str]:
    rows = ["| argument | meaning | default |", "|---|---|---|"]
    for each in command.params:
        if getattr(each, "hidden", False) or each.name in ("install_completion", "show_completion"):
            continue
        optional = each.param_type_name == "option"
        shown = ", ".join(each.opts) if optional else (each.metavar or each.name).upper()
        meaning = " ".join((each.help or "").split()).replace("|", "\\|")
        needed = "required" if each.required else "-"
        plain = each.default is not None and not callable(each.default)
        default = f"`{each.default}`" if plain and str(each.default) else needed
        rows.append(f"| `{shown}` | {meaning} | {default} |")
    return rows


def results_page() -> str:
    """Return benchmarks/RESULTS.md as a page of the site."""
    text = RESULTS.read_text(encoding="utf-8")
    return text.replace("](../docs/", "](../").replace("](../README.md#try-it)", "](../index.md)")


def write() -> None:
    """Write all generated pages."""
    (REFERENCE / "results.md").write_text(results_page(), encoding="utf-8")
    (REFERENCE / "study-file.md").write_text(page(), encoding="utf-8")
    (REFERENCE / "commands.md").write_text(commands_page(), encoding="utf-8")
    (REFERENCE / "api").mkdir(exist_ok=True)
    for name, text in api_pages().items():
        (REFERENCE / "api" / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
