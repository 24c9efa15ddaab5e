"""Are the constants of the search well chosen? Each is chosen on some judged queries and measured on those left out.

    python benchmarks/search_constants.py -w shop -j judgments.csv              # query,item_id,grade
    python benchmarks/search_constants.py -w shop -j judgments.csv --rebuild    # those of a build, too: some minutes
    python benchmarks/search_constants.py -w demo                               # by the simulator's own truth
    python benchmarks/search_constants.py -w shop -j judgments.csv --only categories

The workspace needs a served release, and is left as it is. What is measured is the search of a shop without events: the
fusion `weighted`, the rules above it and the floor of meaning; NDCG@10 over the whole catalogue, and condensed: over
the judged items alone. A value is chosen by the mean of both.

The first table tries each constant alone, all others as they are in use. `folds` says what the folds chose; `lead` is
that of the chosen values on the queries left out, with its 95 % interval over queries. `changed` needs an interval
above zero and eight folds of ten that agree: then look for the reason before you change the constant, for of forty
constants two lead by luck. The last lines choose all constants together, by coordinate search in each fold: where that
is no better on the queries left out, more tuning on these judgments is fitting to them.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.judgments import load_topics
from shopfuse.evaluation.offline.constant_search import (
    Choice,
    CrossValidated,
    Judged,
    Measure,
    Parts,
    folds,
    judge,
    judge_together,
)
from shopfuse.evaluation.offline.judged_release import JudgedRelease, open_judged_release
from shopfuse.evaluation.offline.search_constants import BUILD, CONSTANTS, SearchConstant
from shopfuse.metrics.bootstrap import bootstrap_interval


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-w", "--workspace", type=Path, required=True)
    parser.add_argument("-j", "--judgments", type=Path, help="default: truth/search.parquet of a simulated shop")
    parser.add_argument("--folds", type=int, default=10, help="parts of the queries, each left out once (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the parts (0)")
    parser.add_argument("--only", default="", help="only constants whose name contains this")
    parser.add_argument("--rebuild", action="store_true", help="constants of a build, too: indexes are written anew")
    parser.add_argument("--alone", action="store_true", help="without the choice of all together, which takes longest")
    options = parser.parse_args()
    constants = [one for one in CONSTANTS if options.only in one.name and (options.rebuild or one.stage != BUILD)]
    topics = load_topics(options.judgments or options.workspace / "truth" / "search.parquet", "query")
    with open_judged_release(options.workspace, topics) as release:
        report(release, constants, folds(len(release.topics), options.folds, options.seed), options.alone)


def report(release: JudgedRelease, constants: Sequence[SearchConstant], parts: Parts, alone: bool) -> None:
    started = time.perf_counter()

    @cache
    def measure(choice: Choice) -> NDArray[np.float64]:
        return release.measure({one.name: value for one, value in zip(constants, choice, strict=True)})

    tried = [one.tried for one in constants]
    in_use = measure(tuple(values[0] for values in tried))
    print(f"{len(in_use)} queries in {len(parts)} folds; in use: {_both(in_use)}\n")
    print("constant | whole and condensed by value, the one in use first | folds | lead on queries left out | verdict")
    print("---|---|---|---|---")
    telling = []
    for place, constant in enumerate(constants):
        judged = judge(measure, tried, place, parts)
        telling += [place] if judged.tells else []
        print(" | ".join(_row(constant, judged)), flush=True)
    if not alone:
        report_together(measure, tried, [constants[place].name for place in telling], telling, parts)
    print(f"{time.perf_counter() - started:.0f} s, {measure.cache_info().misses} measurements")


def report_together(
    measure: Measure, tried: Sequence[Choice], names: Sequence[str], telling: Sequence[int], parts: Parts
) -> None:
    """Only constants that some query depends on take part."""
    in_use = tuple(values[0] for values in tried)

    def measure_telling(choice: Choice) -> NDArray[np.float64]:
        whole = list(in_use)
        for place, value in zip(telling, choice, strict=True):
            whole[place] = value
        measured: NDArray[np.float64] = measure(tuple(whole))
        return measured

    together = judge_together(measure_telling, [tried[place] for place in telling], parts)
    print(f"\nall together, by coordinate search: {_lead(together)}")
    print(f"  in use             {_both(together.in_use)}")
    print(f"  chosen by others   {_both(together.by_chosen)}")
    for place, name in enumerate(names):
        values = Counter(repr(choice[place]) for choice in together.chosen)
        if list(values) != [repr(in_use[telling[place]])]:
            print(f"  {name}: in use {in_use[telling[place]]!r}, chosen {_counted(values)}")


def _row(constant: SearchConstant, judged: Judged) -> list[str]:
    values = ", ".join(
        f"{_short(value)}: {whole:.3f} {condensed:.3f}"
        for value, (whole, condensed) in zip(judged.tried, judged.means.tolist(), strict=True)
    )
    chosen = _counted(Counter(map(_short, judged.values)))
    return [constant.name, values, chosen, _lead(judged.held_out), judged.verdict]


def _short(value: Any) -> str:
    return " and ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _counted(values: Counter[str]) -> str:
    return ", ".join(f"{value} x{count}" for value, count in values.most_common())


def _lead(held_out: CrossValidated) -> str:
    mean, low, high = held_out.lead()
    return f"{mean:+.4f} ({low:+.4f}..{high:+.4f})"


def _both(measured: NDArray[np.float64]) -> str:
    names = ("whole", "condensed")
    intervals = [(name, column, *bootstrap_interval(column)) for name, column in zip(names, measured.T, strict=True)]
    return ", ".join(f"{name} {column.mean():.4f} ({low:.3f}..{high:.3f})" for name, column, low, high in intervals)


if __name__ == "__main__":
    main()
