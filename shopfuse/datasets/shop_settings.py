"""The settings of one shop: `shop.toml`, read once into a frozen value, refused when anything in it is unknown.

It holds choices that belong to the shop's data and models; ports and deadlines belong to the gateway.
"""

import json
import re
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Final

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.item import CATEGORY_SEPARATOR
from shopfuse.ranking.languages import UnknownLanguage, language_of
from shopfuse.ranking.repeat_purchases import CHOICES

FUSIONS: Final = ("auto", "weighted", "vote", "softmax", "stacking", "attention", "moe")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")


class ShopSettingsError(ShopfuseError):
    """`shop.toml` holds something that shopfuse does not understand."""


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """What `shop.toml` may say; every field has a default that works."""

    name: str = "shop"  # shown in logs and release manifests
    text_encoder: str = (
        "embedded"  # (MiniLM), "catalogue" (trained on the shop's texts), a hub id, a checkpoint's folder
    )
    image_encoder: str = "embedded"  # "embedded" (trained on the shop), or a hub id or folder of a ViT, CLIP or SigLIP
    fusion: str = "auto"  # auto: whichever orders validation lists best; weighted where there is nothing to learn from
    language: str = ""  # of titles and queries, as in ranking.languages; "": recognised, see catalogue_language.py
    other_languages: tuple[str, ...] = ()  # that items are in as well: each is read by the rules of its own
    repeat_purchases: str = "auto"  # whether what a user bought is recommended again; auto: where many come back to it
    repeat_purchases_by_category: dict[str, str] = field(default_factory=dict)  # "Path > Of > Category" -> the same
    completion_min_users: int = 5  # different users of a search, before others are shown it as a completion

    @property
    def languages(self) -> tuple[str, ...]:
        """The main one first; none where that is not known yet."""
        return (self.language, *self.other_languages) if self.language else ()

    def __post_init__(self) -> None:
        if isinstance(self.other_languages, list):  # as TOML has it
            object.__setattr__(self, "other_languages", tuple(self.other_languages))
        for known in fields(self):
            if known.name != "language" or self.language:
                CHECKS.get(known.name, _check_text)(known.name, getattr(self, known.name))
        _one_of("fusion", FUSIONS, self.fusion)
        _one_of("repeat_purchases", CHOICES, self.repeat_purchases)
        for path, choice in self.repeat_purchases_by_category.items():
            levels = [level.strip() for level in path.split(CATEGORY_SEPARATOR.strip())]
            if not all(levels) or path != CATEGORY_SEPARATOR.join(levels):
                raise ShopSettingsError(
                    f"setting 'repeat_purchases_by_category': expected a path such as 'Home > Light', got {path!r}"
                )
            _one_of(f"repeat_purchases_by_category.{path}", CHOICES, choice)
        self._check_language()

    def _check_language(self) -> None:
        if self.language:
            _check_code("language", self.language)
        for code in self.other_languages:
            _check_code("other_languages", code)
        codes = [code.split("-")[0] for code in (self.language, *self.other_languages)]
        if self.other_languages and (not self.language or len(set(codes)) < len(codes)):
            raise ShopSettingsError("setting 'other_languages': expected languages beside `language`, each once")


def _check_code(name: str, code: str) -> None:
    if not _LANGUAGE.fullmatch(code):
        raise ShopSettingsError(f"setting '{name}': expected a code such as 'en' or 'de-AT', got {code!r}")
    try:
        language_of(code)
    except UnknownLanguage as error:
        raise ShopSettingsError(f"setting '{name}': {error}") from error


def _check_texts(name: str, value: object) -> None:
    if not isinstance(value, tuple) or not all(isinstance(text, str) for text in value):
        raise ShopSettingsError(f"setting '{name}': expected a list of texts, got {value!r}")


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ShopSettingsError(f"setting '{name}': expected a non-empty text, got {value!r}")


def _check_table(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise ShopSettingsError(f"setting '{name}': expected a table [{name}], got {value!r}")


def _check_users(name: str, value: object) -> None:
    if type(value) is not int or value < 2:
        raise ShopSettingsError(f"setting '{name}': expected a whole number from 2 on, got {value!r}")


CHECKS = {
    "other_languages": _check_texts,
    "repeat_purchases_by_category": _check_table,
    "completion_min_users": _check_users,
}


def _one_of(name: str, choices: tuple[str, ...], value: object) -> None:
    if value not in choices:
        raise ShopSettingsError(f"setting '{name}': expected one of {', '.join(choices)}, got {value!r}")


def read_settings(path: Path) -> ShopSettings:
    """Read `shop.toml`; ShopSettingsError names the file and the key that is wrong."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ShopSettingsError(f"{path}: not valid TOML: {error}") from error
    known = [field.name for field in fields(ShopSettings)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ShopSettingsError(f"{path}: unknown setting '{unknown[0]}' (known: {', '.join(known)})")
    try:
        return ShopSettings(**values)
    except ShopSettingsError as error:
        raise ShopSettingsError(f"{path}: {error}") from error


def settings_toml(settings: ShopSettings) -> str:
    """The text of a `shop.toml` that reads back as `settings`."""
    lines, tables = [], []
    for key, value in asdict(settings).items():
        if value in ("", ()):  # not said yet
            continue
        if not isinstance(value, dict):
            lines.append(f"{key} = {_quoted(list(value) if isinstance(value, tuple) else value)}")
        elif value:
            tables += ["", f"[{key}]", *(f"{_quoted(name)} = {_quoted(entry)}" for name, entry in value.items())]
    return "\n".join([*lines, *tables, ""])


def _quoted(value: str | int | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
