"""`shopfuse encode` on a workspace: what it encodes is what a build finds, whole, in shards or through a Triton."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import typer
from onnx import numpy_helper
from typer.testing import CliRunner

from shopfuse.cli.encode import encode
from shopfuse.datasets.workspace import Workspace, WorkspaceError
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock
from shopfuse.training.data.catalogue import load_catalogue
from shopfuse.triton.local_triton import LocalTriton
from shopfuse_exporters import build
from shopfuse_exporters.build import build_workspace
from shopfuse_exporters.encoding import workspace as encoding_workspace
from shopfuse_exporters.encoding.encoder import catalogue_texts
from shopfuse_exporters.encoding.merge import merge
from shopfuse_exporters.encoding.parts import part_files
from shopfuse_exporters.encoding.plan import EncodingError, Shard, make_plan
from shopfuse_exporters.encoding.run import encode_all
from shopfuse_exporters.encoding.workspace import encode_workspace, merge_workspace
from shopfuse_exporters.errors import BuildError, ParityError
from shopfuse_exporters.verify import verified_model
from tests.exporters.conftest import Export
from tests.exporters.small_shop import fit, tiny_text_encoder, write_catalogue
from tests.tritons import QUICK

ITEMS = 12


@pytest.fixture
def tiny(export_once: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny text encoder for encode and build, exported once for all tests."""
    monkeypatch.setattr(verified_model, "export_submodel", export_once)
    for module in (encoding_workspace, build):
        monkeypatch.setattr(module, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path))
    monkeypatch.setattr(build, "build_models", fit)


@pytest.fixture
def workspace(tiny: None, tmp_path: Path) -> Workspace:
    workspace = Workspace.create(tmp_path / "shop")
    write_catalogue(workspace, ITEMS)
    return workspace


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5 texts, so that twelve items make three."""
    for name, function in (("encode_all", encode_all), ("make_plan", make_plan), ("merge", merge)):
        monkeypatch.setattr(encoding_workspace, name, partial(function, chunk=5))


def _vectors(workspace: Workspace) -> bytes:
    (path,) = workspace.root.glob("cache/texts/*/known-*/vectors.npy")
    return path.read_bytes()


def test_texts_are_those_that_training_sees(workspace: Workspace) -> None:
    streamed = [text for batch in catalogue_texts(workspace) for text in batch]

    assert streamed == load_catalogue(workspace.items().collect()).texts()


def test_a_second_run_computes_and_exports_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    different = {text for batch in catalogue_texts(workspace) for text in batch}
    assert encode_workspace(workspace) == (ITEMS, len(different))
    monkeypatch.setattr(verified_model, "export_submodel", None)

    assert encode_workspace(workspace) == (ITEMS, 0)


def test_a_build_finds_everything_encoded(built: Path, tiny: None, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "copy")
    workspace = Workspace.open(tmp_path / "copy")
    shutil.rmtree(workspace.root / "cache")
    assert encode_workspace(workspace)[1] > 0

    manifest = build_workspace(workspace)
    assert manifest.metrics["texts"]["encoded"] == 0


@pytest.mark.usefixtures("small_chunks")
def test_shards_on_copies_merge_to_the_bytes_of_one_run(workspace: Workspace, tmp_path: Path) -> None:
    copies = [Workspace.open(Path(shutil.copytree(workspace.root, tmp_path / name))) for name in ("a", "b", "c")]
    encode_workspace(workspace)

    done = [encode_workspace(copy, Shard(number, 3)) for number, copy in enumerate(copies, 1)]
    assert all(items == ITEMS and computed <= 5 for items, computed in done)
    with pytest.raises(EncodingError, match=r"^shard 3/3 is missing: 1 of 3 chunks$"):
        merge_workspace(copies[0], [copies[1].root])
    assert merge_workspace(copies[0], [copies[1].root, copies[2].root]) == ITEMS
    assert _vectors(copies[0]) == _vectors(workspace)
    assert encode_workspace(copies[0]) == (ITEMS, 0)


def test_a_shard_needs_no_lock_and_a_whole_run_does(workspace: Workspace) -> None:
    with workspace_lock(workspace.root):
        assert encode_workspace(workspace, Shard(1, 1))[0] == ITEMS
        with pytest.raises(WorkspaceLockedError):
            encode_workspace(workspace)
        with pytest.raises(WorkspaceLockedError):
            merge_workspace(workspace, [])
    assert merge_workspace(workspace, []) == ITEMS


def test_an_empty_catalogue_is_refused(workspace: Workspace) -> None:
    pl.read_parquet(workspace.paths.items).clear().write_parquet(workspace.paths.items)

    with pytest.raises(BuildError, match=r"items.parquet: the catalogue holds no item"):
        encode_workspace(workspace)


def test_a_workspace_without_catalogue_is_refused(workspace: Workspace) -> None:
    workspace.paths.items.unlink()

    with pytest.raises(WorkspaceError, match="no catalogue yet"):
        encode_workspace(workspace)


def test_an_unfaithful_encoder_encodes_nothing(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding_workspace, "load_text_encoder", lambda _: tiny_text_encoder(tmp_path, "padding"))

    with pytest.raises(ParityError, match="text_encoder"):
        encode_workspace(workspace)
    assert not (workspace.root / "cache/texts").exists()
    assert not list((workspace.root / "cache/exports").iterdir())


@pytest.fixture(scope="module")
def triton(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    """The models of the first release."""
    log = tmp_path_factory.mktemp("triton") / "triton.log"
    repository = tmp_path_factory.mktemp("served") / "models"
    shutil.copytree(built / "releases/r1/models", repository)
    with LocalTriton(repository, log, QUICK) as running:
        running.load("text_encoder")
        yield running


@pytest.fixture
def released(built: Path, tiny: None, tmp_path: Path) -> Workspace:
    """The workspace of that release, with nothing encoded."""
    shutil.copytree(built, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/cache")
    return Workspace.open(tmp_path / "copy")


def test_a_release_in_a_triton_encodes_too(released: Workspace, triton: LocalTriton) -> None:
    assert encode_workspace(released, triton=triton.address)[1] > 0
    through = np.load(next(released.root.glob("cache/texts/*/known-*/vectors.npy")))
    made_with = json.loads(next(released.root.glob("cache/texts/*/known-*/made_with.json")).read_text())
    shutil.rmtree(released.root / "cache/texts")
    encode_workspace(released)

    here = np.load(next(released.root.glob("cache/texts/*/known-*/vectors.npy")))
    np.testing.assert_allclose(through, here, atol=1e-3)
    assert made_with == {"runtimes": ["Triton, 32 texts a request"]}


def test_a_triton_that_serves_another_encoder_is_refused(released: Workspace, triton: LocalTriton) -> None:
    model = triton.model_repository / "text_encoder/1/model.onnx"
    kept = model.read_bytes()
    try:
        model.unlink()
        model.write_bytes(_other_encoder(kept))
        triton.restart()
        with pytest.raises(
            EncodingError, match=r"'text_encoder' version 1 is not this workspace's text encoder: .* cosine"
        ):
            encode_workspace(released, triton=triton.address)
    finally:
        model.write_bytes(kept)
        triton.restart()
    assert not list(part_files(released.root / "cache"))


def _other_encoder(contents: bytes) -> bytes:
    """The same graph with the vectors of its tokens in another order."""
    model = onnx.load_from_string(contents)
    weight = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight)[::-1].copy(), weight.name))
    return bytes(model.SerializeToString())


def test_without_a_release_of_this_encoder_there_is_nothing_to_ask(workspace: Workspace) -> None:
    with pytest.raises(EncodingError, match=r"releases: no release serves this text encoder \([0-9a-f]{12}\)"):
        encode_workspace(workspace, triton="127.0.0.1:9")


Command = Callable[..., str]


@pytest.fixture
def command(workspace: Workspace) -> Command:
    """Runs `encode` on the workspace and gives its output; raises what it raises."""
    app = typer.Typer()
    app.command()(encode)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["-w", str(workspace.root), *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_the_command_ends_with_items_pace_seconds_and_memory(command: Command) -> None:
    first, again = command().splitlines()[-1], command("--json").splitlines()[-1]

    assert first.startswith(f"{ITEMS} items, 1")
    assert first.endswith(" MB")
    assert "a second" in first
    summary = json.loads(again)
    assert (summary["items"], summary["encoded"]) == (ITEMS, 0)
    assert summary["peak_memory_mb"] > 0


def test_the_command_encodes_shards_and_merges_them(command: Command) -> None:
    command("--shard", "1/1")

    assert command("--merge").startswith(f"{ITEMS} items, 0 encoded now")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--merge", "--shard", "1/2"], "leave out --shard"),
        (["--merge", "--triton", "host:1"], "leave out --shard and --triton"),
        (["."], "folders are for --merge"),
        (["--shard", "3/2"], "expected i/n"),
        (["--precision", "fp8"], "precision 'fp8'"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], problem: str, command: Command) -> None:
    with pytest.raises((EncodingError, ParityError), match=problem):
        command(*arguments)
