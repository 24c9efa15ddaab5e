"""The models that a build writes, in a real Triton: all load and warm, and answer the release's golden queries."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shopfuse.publishing.golden import check_golden
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.manifest import Manifest, ReleaseError
from shopfuse.release.verify import read_manifest
from shopfuse.triton.local_triton import LocalTriton
from shopfuse.triton.model_control import ModelControl
from shopfuse_exporters.release.golden_cases import SIZES
from shopfuse_exporters.triton.ensembles import ROLES
from tests.exporters.tiny_models import poisoned
from tests.tritons import QUICK


@pytest.fixture(scope="module")
def release(built: Path) -> Path:
    return built / "releases/r1"


@pytest.fixture(scope="module")
def manifest(release: Path) -> Manifest:
    return read_manifest(release)


@pytest.fixture(scope="module")
def repository(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the release's models."""
    return Path(shutil.copytree(ReleaseLayout(release).models, tmp_path_factory.mktemp("triton") / "models"))


@pytest.fixture(scope="module")
def control(manifest: Manifest, repository: Path) -> Iterator[ModelControl]:
    """Of a Triton that serves them."""
    log = repository.with_name("triton.log")
    with LocalTriton(repository, log, QUICK) as triton:
        triton.load(*(version.model for version in manifest.models.values()))
        triton.load(*manifest.ensembles.values())
        with ModelControl(triton.address) as connected:
            yield connected


def test_every_model_and_ensemble_answers_the_golden_queries(
    release: Path, manifest: Manifest, control: ModelControl
) -> None:
    report = check_golden(release, manifest, control)

    rows = {row.name: row for row in report.rows}
    assert set(rows) == set(manifest.models) | set(ROLES) - {"classify_text"}  # no text heads
    assert report.cases == len(SIZES)
    assert max(row.max_abs_diff for row in report.rows) < 1e-4
    assert rows["rank"].model == "rank_r1"
    # Triton batches what waits while both instances are busy; batches of four are sent as such.
    assert all(rows[name].largest_batch >= 2 for name in manifest.models)
    assert ReleaseLayout(release).golden.stat().st_size < 5e6


@pytest.mark.parametrize("name", ["text_encoder", "item_tower"])
def test_a_poisoned_model_of_the_right_shapes_is_stopped(
    name: str, release: Path, manifest: Manifest, control: ModelControl, repository: Path, tmp_path: Path
) -> None:
    """As a new version in the same Triton: one weight is another number."""
    wrong = replace(manifest.models[name], version=9)
    target = repository / wrong.model / "9"
    target.mkdir()
    source = repository / wrong.model / str(manifest.models[name].version) / "model.onnx"
    shutil.copy(poisoned(source, tmp_path, 7.0), target / "model.onnx")
    control.load(wrong.model)
    spoiled = replace(manifest, models={**manifest.models, name: wrong})

    with pytest.raises(
        ReleaseError, match=rf"{name} version 9: output '\w+' differs in case '\d+ tokens, \d+ candidates'"
    ):
        check_golden(release, spoiled, control)
