"""
Tests from the textbook, for those who want one they know: Fisher, binomial, Welch, Mann-Whitney, Kolmogorov-Smirnov.

A textbook test may be looked at once. These are looked at on a schedule fixed at the promotion, with the false-alarm
probability split over its looks (`looks`). They need more calls than the e-process, most of all where a regression
begins long after the promotion, and they know neither tempering nor a block cap: calls are taken to be independent.
The z test for two shares is not offered: on the same schedule it raised three to four times the false alarms allowed.
"""

from __future__ import annotations

from watchdog.stats.classical.looks import LookState, LookTest, p_value, start, statistic, step, tripped
from watchdog.stats.classical.shares import BinomialTest, FisherTest
from watchdog.stats.classical.values import KolmogorovSmirnovTest, MannWhitneyTest, WelchTest

__all__ = [
    "BinomialTest",
    "FisherTest",
    "KolmogorovSmirnovTest",
    "MannWhitneyTest",
    "WelchTest",
    "LookState",
    "LookTest",
    "p_value",
    "start",
    "statistic",
    "step",
    "tripped",
]
