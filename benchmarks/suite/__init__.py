"""The development suite: real data sets with several label columns, labels hidden on purpose.

Run ``python -m benchmarks.suite [--quick]`` after
``pip install -c constraints.txt -r benchmarks/suite/requirements.txt``. `SETS` names the data sets,
`METHODS` the methods. Half of the sets (`TUNE`) may be used to choose settings, the other half
(`REPORT`) only to report them.
"""

from benchmarks.suite._comparing import Aim, aims, differences, means, scores_table
from benchmarks.suite._data_sets import DataSet, Scattering, Table, load
from benchmarks.suite._methods import METHODS, Method
from benchmarks.suite._running import Result, Run, plan, run_all
from benchmarks.suite._scatterings import Case, make_case
from benchmarks.suite._scoring import METRICS, score, score_case
from benchmarks.suite._sets import REPORT, SETS, TUNE
from benchmarks.suite._table import report

__all__ = [
    "METHODS",
    "METRICS",
    "REPORT",
    "SETS",
    "TUNE",
    "Aim",
    "Case",
    "DataSet",
    "Method",
    "Result",
    "Run",
    "Scattering",
    "Table",
    "aims",
    "differences",
    "load",
    "make_case",
    "means",
    "plan",
    "report",
    "run_all",
    "score",
    "score_case",
    "scores_table",
]
