"""The benchmark: a protocol that was written before its results, its statistics, and a verdict for each claim."""

from sofim_lab.benchmark.claims import CLAIMS, Claim, Verdict, decide, judge, judge_all
from sofim_lab.benchmark.costs import measure_costs, read_costs, state_bytes
from sofim_lab.benchmark.digits import DIGITS, DIGITS_QUICK, TINY
from sofim_lab.benchmark.intervals import Interval, median_interval, paired_ratio, resamples
from sofim_lab.benchmark.mnist import MNIST
from sofim_lab.benchmark.pilot import pilot_targets, run_pilot
from sofim_lab.benchmark.protocol import MEASURES, Protocol, Task
from sofim_lab.benchmark.protocols import PROTOCOLS
from sofim_lab.benchmark.results import Benchmark, Final
from sofim_lab.benchmark.runs import read, run
from sofim_lab.benchmark.selection import expected_best, ranking
from sofim_lab.benchmark.targets import time_to_target

__all__ = [
    "CLAIMS",
    "DIGITS",
    "DIGITS_QUICK",
    "MEASURES",
    "MNIST",
    "PROTOCOLS",
    "TINY",
    "Benchmark",
    "Claim",
    "Final",
    "Interval",
    "Protocol",
    "Task",
    "Verdict",
    "decide",
    "expected_best",
    "judge",
    "judge_all",
    "measure_costs",
    "median_interval",
    "paired_ratio",
    "pilot_targets",
    "ranking",
    "read",
    "read_costs",
    "resamples",
    "run",
    "run_pilot",
    "state_bytes",
    "time_to_target",
]
