"""The settings that a shop's models are trained with: the defaults, or what `shopfuse tune` found for this shop.

They lie in `tuned.toml` in the workspace, a table for each model, and may be edited. A file that says anything else
than a searched setting within its range is refused: what is not searched here is a decision, not a setting.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from shopfuse.core.atomic_files import write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.training.trainers.ranker import RankerTraining
from shopfuse.training.trainers.tower_task import TowerTraining

SettingsT = TypeVar("SettingsT")
Values = Mapping[str, float]  # setting -> value


class TunedError(ShopfuseError):
    """`tuned.toml` holds what cannot be used; the message names file, table and key."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a setting may be; `log`: its order of magnitude counts, not its size."""

    low: float
    high: float
    log: bool = False


# None of these is part of a loss: the validation losses of two choices can be compared.
SEARCHED: dict[str, dict[str, Range]] = {
    "towers": {
        "batch": Range(64, 1024, log=True),
        "epochs": Range(2, 16),
        "learning_rate": Range(3e-4, 1e-2, log=True),
        "behaviour_rate": Range(1e-3, 5e-2, log=True),
        "weight_decay": Range(1e-3, 0.3, log=True),
        "drop_behaviour": Range(0.0, 0.6),
        "drop_content": Range(0.0, 0.4),
        "drop_history": Range(0.0, 0.4),
        "noise": Range(0.0, 0.5),
    },
    "ranker": {
        "batch": Range(16, 256, log=True),
        "epochs": Range(2, 20),
        "learning_rate": Range(3e-4, 1e-2, log=True),
        "weight_decay": Range(1e-3, 0.3, log=True),
        "drop": Range(0.0, 0.4),
        "noise": Range(0.0, 0.3),
    },
}


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    towers: TowerTraining = field(default_factory=TowerTraining)
    ranker: RankerTraining = field(default_factory=RankerTraining)

    def changed(self, model: str, values: Values) -> TrainingSettings:
        """With these settings of one model."""
        return replace(self, **{model: with_values(getattr(self, model), values)})


def with_values(settings: SettingsT, values: Values) -> SettingsT:
    """The dataclass `settings` with `values`, whole numbers where its own are."""
    kinds = {name: type(getattr(settings, name)) for name in values}
    changed = {name: kinds[name](value) for name, value in values.items()}
    return replace(settings, **changed)  # type: ignore[type-var]


def read_tuned(workspace: Path) -> dict[str, dict[str, float]]:
    """Model -> settings, of a workspace; empty where nothing was tuned. Raises TunedError."""
    path = WorkspacePaths(workspace).tuned
    if not path.is_file():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TunedError(f"{path}: not valid TOML: {error}") from error
    for model, values in tables.items():
        _check_table(path, model, values)
    return tables


def settings_of(workspace: Path) -> TrainingSettings:
    """What the models of this workspace are trained with. Raises TunedError."""
    settings = TrainingSettings()
    for model, values in read_tuned(workspace).items():
        settings = settings.changed(model, values)
    return settings


def write_tuned(workspace: Path, tuned: Mapping[str, Values]) -> None:
    """Replaces the file by a table for each model with settings; without any it is removed."""
    tables = [
        f"[{model}]\n" + "".join(f"{name} = {_number(value)}\n" for name, value in values.items())
        for model, values in tuned.items()
        if values
    ]
    if tables:
        head = "# Found by 'shopfuse tune'; a line that is removed goes back to its default.\n\n"
        write_text(WorkspacePaths(workspace).tuned, head + "\n".join(tables))
    else:
        WorkspacePaths(workspace).tuned.unlink(missing_ok=True)


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}" if value >= 1e-4 or value == 0 else f"{value:.6f}"


def _check_table(path: Path, model: str, values: Any) -> None:
    if model not in SEARCHED:
        raise TunedError(f"{path}: unknown key '{model}' (known: {', '.join(SEARCHED)})")
    if not isinstance(values, dict):
        raise TunedError(f"{path}: '{model}' is {values!r}, expected a table of settings")
    for name, value in values.items():
        if name not in SEARCHED[model]:
            raise TunedError(f"{path}: unknown key '{model}.{name}' (known: {', '.join(SEARCHED[model])})")
        _check_value(f"{path}: '{model}.{name}'", value, SEARCHED[model][name], getattr(_defaults(model), name))


def _defaults(model: str) -> Any:
    return getattr(TrainingSettings(), model)


def _check_value(where: str, value: Any, allowed: Range, default: float) -> None:
    whole = isinstance(default, int)
    kind = "a whole number" if whole else "a number"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TunedError(f"{where} is {value!r}, expected {kind}")
    if not allowed.low <= value <= allowed.high:
        raise TunedError(f"{where} is {value!r}, expected {kind} from {allowed.low:g} to {allowed.high:g}")
