"""The search of settings: what it finds, keeps, resumes and refuses."""

import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shopfuse.cli.main import app
from shopfuse.cli.tune import report, verdict
from shopfuse.core.progress import silent
from shopfuse.datasets.workspace import Workspace
from shopfuse.training.data.user_histories import user_histories
from shopfuse.training.trainers.loop import TrainingDiverged
from shopfuse.training.trainers.shop import ShopData
from shopfuse.training.trainers.tuned_settings import (
    SEARCHED,
    TrainingSettings,
    TunedError,
    read_tuned,
    settings_of,
    with_values,
    write_tuned,
)
from shopfuse.training.tuning.search import Budget, TuningError, Watch, default_values, search
from shopfuse.training.tuning.tasks import TRIALS, tower_trials, tune_model
from tests.training.conftest import Shop, encode_words

PEAK = 6e-3  # the learning rate that the bowl below wants


def bowl(settings: TrainingSettings, seed: int, watch: Watch) -> float:
    """A loss that depends on one setting alone; hopeless ones show it early."""
    loss = 1.0 + math.log(settings.towers.learning_rate / PEAK) ** 2
    for epoch in range(3):
        watch(epoch, loss + 3 - epoch)
    return loss


def test_the_search_finds_better_settings_and_confirms_them(tmp_path: Path) -> None:
    result = search("towers", "study", bowl, tmp_path / "towers.log", Budget(30), seed=1)

    assert result.adopted
    assert result.trials[0].values == pytest.approx(default_values("towers"))
    assert abs(math.log(result.best["learning_rate"] / PEAK)) < 0.5
    assert {trial.state for trial in result.trials} == {"complete", "pruned"}


def test_the_same_seed_makes_the_same_trials(tmp_path: Path) -> None:
    first, second = (search("towers", "study", bowl, tmp_path / name, Budget(6), seed=3) for name in ("a", "b"))

    assert [trial.values for trial in first.trials] == [trial.values for trial in second.trials]


def test_a_search_that_was_stopped_goes_on(tmp_path: Path) -> None:
    calls: list[int] = []

    def stopped(settings: TrainingSettings, seed: int, watch: Watch) -> float:
        calls.append(seed)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return bowl(settings, seed, watch)

    with pytest.raises(KeyboardInterrupt):
        search("towers", "study", stopped, tmp_path / "towers.log", Budget(8))
    result = search("towers", "study", bowl, tmp_path / "towers.log", Budget(8))

    assert len(result.trials) == 8
    other = search("towers", "other data", bowl, tmp_path / "towers.log", Budget(2))
    assert len(other.trials) == 2


def test_luck_with_one_seed_is_not_adopted(tmp_path: Path) -> None:
    def lucky(settings: TrainingSettings, seed: int, watch: Watch) -> float:
        loss = bowl(settings, 0, lambda epoch, loss: None)
        return loss if seed == 0 else -loss

    result = search("towers", "study", lucky, tmp_path / "towers.log", Budget(12))

    assert result.confirmed is not None
    assert not result.adopted


def test_a_trial_that_diverges_is_one_that_lost(tmp_path: Path) -> None:
    def fragile(settings: TrainingSettings, seed: int, watch: Watch) -> float:
        if settings.towers.learning_rate > 3e-3:
            raise TrainingDiverged("train towers: loss nan at step 3")
        return bowl(settings, seed, watch)

    result = search("towers", "study", fragile, tmp_path / "towers.log", Budget(12))

    assert "fail" in {trial.state for trial in result.trials}
    assert result.best["learning_rate"] <= 3e-3

    def broken(settings: TrainingSettings, seed: int, watch: Watch) -> float:
        raise TrainingDiverged("train towers: loss nan at step 3")

    with pytest.raises(TuningError, match="tune towers: none of 2 trials came to an end"):
        search("towers", "broken", broken, tmp_path / "towers.log", Budget(2))


def test_a_search_ends_when_its_time_is_up(tmp_path: Path) -> None:
    result = search("towers", "study", bowl, tmp_path / "towers.log", Budget(10_000, minutes=1e-4))

    assert 1 <= len(result.trials) < 10_000


def test_what_was_found_is_read_back_as_the_settings_of_the_next_training(tmp_path: Path) -> None:
    write_tuned(tmp_path, {"towers": {"learning_rate": 0.00123, "batch": 128}, "ranker": {"drop": 0.25}})

    settings = settings_of(tmp_path)

    assert settings.towers == with_values(TrainingSettings().towers, {"learning_rate": 0.00123, "batch": 128})
    assert settings.ranker.drop == 0.25
    write_tuned(tmp_path, {"towers": {}})
    assert settings_of(tmp_path) == TrainingSettings()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[towers]\nbatch = 12.5", r"tuned.toml: 'towers.batch' is 12.5, expected a whole number"),
        ("[towers]\nlearning_rate = 3", r"'towers.learning_rate' is 3, expected a number from 0.0003 to 0.01"),
        ("[towers]\nlearning_rate = nan", "'towers.learning_rate' is nan, expected a number from"),
        ("[towers]\nnoise = true", "'towers.noise' is True, expected a number"),
        ("[towers]\nlayers = 3", r"unknown key 'towers.layers' \(known: batch, epochs"),
        ("[images]\nbatch = 3", r"unknown key 'images' \(known: towers, ranker"),
        ("towers = 3", "'towers' is 3, expected a table"),
        ("[towers", "not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_its_key(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "tuned.toml").write_text(text)

    with pytest.raises(TunedError, match=problem):
        settings_of(tmp_path)


def test_the_defaults_lie_within_what_is_searched() -> None:
    for model, ranges in SEARCHED.items():
        for name, value in default_values(model).items():
            assert ranges[name].low <= value <= ranges[name].high, f"{model}.{name}"


@pytest.fixture
def data(shop: Shop, tmp_path: Path) -> ShopData:
    """The small shop without its images, in a workspace that may be written to."""
    workspace = Workspace.create(tmp_path / "shop")
    histories = user_histories(shop.log.events, len(shop.log.users))
    return ShopData(workspace, shop.catalogue, shop.log, histories, shop.text_vectors, encode_words, 0, silent)


def test_a_trial_trains_towers_with_its_settings_and_tells_every_epoch(data: ShopData) -> None:
    train = tower_trials(data)
    told: list[float] = []

    losses = [
        train(TrainingSettings().changed("towers", {"epochs": 2, "batch": 1024, "learning_rate": rate}), 0, watch)
        for rate, watch in ((2e-3, lambda epoch, loss: told.append(loss)), (3e-4, lambda epoch, loss: None))
    ]

    assert len(told) == 2
    assert losses[0] == min(told)
    assert losses[0] < losses[1]


def test_a_search_leaves_its_settings_in_the_workspace(
    data: ShopData, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TRIALS, "towers", lambda data: bowl)
    write_tuned(data.workspace.root, {"ranker": {"drop": 0.25}})

    result = tune_model(data.workspace, "towers", data, Budget(12), silent)

    assert result.adopted
    assert read_tuned(data.workspace.root) == {"towers": pytest.approx(result.best, rel=1e-4), "ranker": {"drop": 0.25}}
    assert "on fresh seeds the best settings reach a validation loss of" in verdict(result)
    report(result)
    assert "learning_rate 0.0" in capsys.readouterr().out
    assert (data.workspace.root / "tuning" / "towers.log").is_file()


@pytest.mark.parametrize(
    ("words", "text", "problem"),
    [
        (["--models", "towers,images"], "", "--models 'images': expected one or more of towers, ranker"),
        ([], "[towers]\nbatch = 0", "'towers.batch' is 0, expected a whole number from 64 to 1024"),
        (["--trials", "0"], "", "Invalid value for '--trials'"),
    ],
)
def test_bad_input_is_said_at_once(tmp_path: Path, words: list[str], text: str, problem: str) -> None:
    workspace = Workspace.create(tmp_path / "shop")
    (workspace.root / "tuned.toml").write_text(text)

    for command in ("tune", "build") if text else ("tune",):
        result = CliRunner().invoke(app, [command, "-w", str(workspace.root), *words])

        assert result.exit_code != 0
        assert problem in " ".join(f"{result.stderr} {result.exception}".replace("│", "").split())
