"""The report of a study: one HTML file, a terminal table and a CSV table, from its results."""

from labelweave.report.ablation import print_ablation, write_ablation
from labelweave.report.compared import print_compared
from labelweave.report.exports import write_csv
from labelweave.report.html import write_html
from labelweave.report.relatedness import print_relatedness
from labelweave.report.terminal import print_results
from labelweave.report.verdict import best_coupled_arm, headline, reasons, recommended_arm

__all__ = [
    "best_coupled_arm",
    "headline",
    "print_ablation",
    "print_compared",
    "print_relatedness",
    "print_results",
    "reasons",
    "recommended_arm",
    "write_ablation",
    "write_csv",
    "write_html",
]
