"""The report of a study: page, slide, Markdown, terminal and CSV table, from its results."""

from labelweave._messages import languages
from labelweave.report._ablation import print_ablation, write_ablation
from labelweave.report._decision import print_decision
from labelweave.report._page import write_html, write_markdown, write_report, write_slide
from labelweave.report._relatedness import print_relatedness, write_heat_map
from labelweave.report._summary import write_summary
from labelweave.report._tables import write_results_csv
from labelweave.report._terminal import print_compared, print_results, print_tuning
from labelweave.results import read_results

__all__ = [
    "languages",
    "print_ablation",
    "print_compared",
    "print_decision",
    "print_relatedness",
    "print_results",
    "print_tuning",
    "read_results",
    "write_ablation",
    "write_heat_map",
    "write_html",
    "write_markdown",
    "write_report",
    "write_results_csv",
    "write_slide",
    "write_summary",
]
