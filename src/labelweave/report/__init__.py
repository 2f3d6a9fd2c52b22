"""The report of a study: page, slide, Markdown, terminal and CSV table, from its results."""

from labelweave.report.ablation import print_ablation, write_ablation
from labelweave.report.compared import print_compared
from labelweave.report.decision import FEW_SEEDS, decide, reasons, risks
from labelweave.report.exports import write_csv
from labelweave.report.html import write_html
from labelweave.report.markdown import write_markdown
from labelweave.report.messages import known_language, languages
from labelweave.report.relatedness import print_relatedness
from labelweave.report.summary import write_summary
from labelweave.report.terminal import print_results
from labelweave.report.tuning import print_tuning
from labelweave.report.verdict import best_coupled_arm, headline, joining, recommended_arm
from labelweave.report.writing import read_results, write_report

__all__ = [
    "FEW_SEEDS",
    "best_coupled_arm",
    "decide",
    "headline",
    "joining",
    "known_language",
    "languages",
    "print_ablation",
    "print_compared",
    "print_relatedness",
    "print_results",
    "print_tuning",
    "read_results",
    "reasons",
    "recommended_arm",
    "risks",
    "write_ablation",
    "write_csv",
    "write_html",
    "write_markdown",
    "write_report",
    "write_summary",
]
