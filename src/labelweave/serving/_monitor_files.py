"""What `monitor` found, as a page and as figures for Prometheus."""

from pathlib import Path

from labelweave._files import write_text
from labelweave.errors import printable
from labelweave.serving._monitor import Monitoring

TEMPLATE = Path(__file__).with_name("monitor.html.j2")


def write_monitor_page(found: Monitoring, name: str, path: Path) -> None:
    """Write a page that needs nothing else."""
    from jinja2 import Environment, select_autoescape

    pages = Environment(autoescape=select_autoescape(default=True), trim_blocks=True)
    template = pages.from_string(TEMPLATE.read_text("utf-8"))
    write_text(path, template.render(found=found, name=name))


def write_metrics(found: Monitoring, name: str, path: Path) -> None:
    """Write figures for the text file collector of Prometheus' node exporter."""
    lines = [
        "# HELP labelweave_monitor_rows Rows of the last batch.",
        "# TYPE labelweave_monitor_rows gauge",
        f"labelweave_monitor_rows{_labels(model=name)} {found.rows}",
        "# HELP labelweave_monitor_alarm Whether a comparison raises an alarm.",
        "# TYPE labelweave_monitor_alarm gauge",
    ]
    for each in found.signals:
        labels = _labels(model=name, kind=each.kind, name=each.name)
        lines.append(f"labelweave_monitor_alarm{labels} {int(each.alarm)}")
    lines += [
        "# HELP labelweave_monitor_change Size of the change: KS, PSI or a difference.",
        "# TYPE labelweave_monitor_change gauge",
    ]
    for each in found.signals:
        labels = _labels(model=name, kind=each.kind, name=each.name)
        lines.append(f"labelweave_monitor_change{labels} {each.change:.6g}")
    lines += [
        "# HELP labelweave_monitor_expected_accuracy Expected accuracy, without labels.",
        "# TYPE labelweave_monitor_expected_accuracy gauge",
    ]
    for task in found.tasks:
        if task.accuracy is not None:
            labels = _labels(model=name, task=task.task)
            lines.append(f"labelweave_monitor_expected_accuracy{labels} {task.accuracy:.6g}")
    write_text(path, "\n".join(lines) + "\n")


def _labels(**labels: str) -> str:
    texts = (
        (key, printable(value, None).replace("\\", "\\\\").replace('"', '\\"'))
        for key, value in labels.items()
    )
    return "{" + ",".join(f'{key}="{value}"' for key, value in texts) + "}"
