"""A text encoder trained on a shop's own texts, tried against words alone: what it would bring, and what it costs.

    python benchmarks/own_encoder.py WORKSPACE
    python benchmarks/own_encoder.py WORKSPACE --without-events

The workspace is only read. Seconds are of the processor. It is trained and tried as a build does where `text_encoder =
"catalogue"`; the second line is for what a shop without searches would get.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from shopfuse.core.processes import peak_memory_mb
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.event_log import load_event_log
from shopfuse.training.data.led_searches import NO_SEARCHES
from shopfuse.training.examples.text_pairs import text_pairs
from shopfuse.training.models.subword_encoder import directions
from shopfuse.training.trainers.subword_encoder import TrainedEncoder, train_subword_encoder
from shopfuse_exporters.encoding.trial import hold_out, try_encoder
from shopfuse_exporters.models.shop import load_catalogue_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--without-events", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    workspace = Workspace.open(options.workspace)
    catalogue = load_catalogue_of(workspace)
    led = NO_SEARCHES if options.without_events else load_event_log(workspace.events(), catalogue).led
    withheld = hold_out(catalogue, led, options.seed)
    if not withheld.are_enough:
        raise SystemExit(f"{len(withheld.questions)} questions can be held out, which are too few to tell")
    started = time.process_time()
    pairs = text_pairs(catalogue, led, withheld.rows, withheld.searches, options.seed)
    trained = train_subword_encoder(pairs, seed=options.seed)
    print(f"{len(pairs):,} items, {trained.metrics['pieces']:,} pieces, {trained.metrics['searches']:,} searches")
    print(f"trained in {time.process_time() - started:.1f} s, {peak_memory_mb():,} MB at most")
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        trial = try_encoder(Path(folder) / "indexes", catalogue, withheld, _Encoding(trained), trained.metrics)
    print(f"{trial.line}; tried in {time.process_time() - started:.1f} s")
    written = trial.as_written
    print(f"where items have all words: {written.mean:+.3f} [{written.low:+.3f}, {written.high:+.3f}]")
    print(f"meaning counts {trial.weight:g}; {'taken' if trial.won else 'words alone'}")


class _Encoding:
    """In torch: what the exported file says to five digits."""

    def __init__(self, trained: TrainedEncoder) -> None:
        self._tokenizer, self._table = trained.tokenizer, trained.encoder.table.weight

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = [encoded.ids for encoded in self._tokenizer.encode_batch_fast(list(texts))]
        with torch.no_grad():
            vectors: NDArray[np.float32] = directions(self._table, tokens).numpy()
        return vectors


if __name__ == "__main__":
    main()
