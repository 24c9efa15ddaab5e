"""What every section is given, and the line that says where its figures come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopfuse.evaluation.report.bench import Bench
from shopfuse.evaluation.report.rankings import ScoredCases
from shopfuse.evaluation.report.section import Estimate, estimate

SOURCES = {"truth": "true relevance", "held-out": "held-out events"}
SURFACE_NAMES = {"search": "search", "recommend": "recommendations", "similar": "similar items"}


@dataclass(frozen=True, slots=True)
class ReportContext:
    bench: Bench
    scored: tuple[ScoredCases, ...]
    command: str
    data: str  # sha256 of catalogue, images and events

    @property
    def seed(self) -> int:
        return self.bench.seed

    def of(self, surface: str, source: str | None = None) -> ScoredCases | None:
        """The scored cases of a surface; without a source, those of the main one."""
        wanted = (surface, source or self.bench.main_source)
        return next((part for part in self.scored if (part.cases.surface, part.cases.source) == wanted), None)

    def mean(self, values: NDArray[np.float64]) -> Estimate:
        return estimate(values, self.seed)

    def provenance(self, *what: str) -> str:
        """Seed, data, what was measured, and the command that prints it again."""
        return " · ".join([f"seed {self.seed}", f"data sha256 {self.data[:16]}", *what, self.command])

    def cases_line(self, *surfaces: str) -> str:
        """How many cases of which kind stand behind a section."""
        parts = [part for part in self.scored if part.cases.surface in surfaces]
        return "cases: " + (", ".join(f"{len(part.cases)} of {part.cases.name}" for part in parts) or "none")
