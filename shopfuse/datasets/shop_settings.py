"""The settings of one shop: `shop.toml`, read once into a frozen value, refused when anything in it is unknown.

It holds choices that belong to the shop's data and models; ports and deadlines belong to the gateway.
"""

import json
import re
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

from shopfuse.core.errors import ShopfuseError
from shopfuse.ranking.languages import UnknownLanguage, language_of

FUSIONS: Final = ("auto", "weighted", "vote", "softmax", "stacking", "attention", "moe")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")


class ShopSettingsError(ShopfuseError):
    """`shop.toml` holds something that shopfuse does not understand."""


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """What `shop.toml` may say; every field has a default that works."""

    name: str = "shop"  # shown in logs and release manifests
    text_encoder: str = "embedded"  # "embedded" (MiniLM in the training extra), a hub id, or a folder with a checkpoint
    image_encoder: str = "embedded"  # "embedded" (trained on the shop), or a hub id or folder of a ViT, CLIP or SigLIP
    fusion: str = "auto"  # auto: whichever orders validation lists best; weighted where there is nothing to learn from
    language: str = "en"  # of titles and queries, as in ranking.languages: how the lexical index cuts words

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) or not value.strip():
                raise ShopSettingsError(f"setting '{field.name}': expected a non-empty text, got {value!r}")
        if self.fusion not in FUSIONS:
            raise ShopSettingsError(f"setting 'fusion': expected one of {', '.join(FUSIONS)}, got {self.fusion!r}")
        if not _LANGUAGE.fullmatch(self.language):
            raise ShopSettingsError(
                f"setting 'language': expected a code such as 'en' or 'de-AT', got {self.language!r}"
            )
        try:
            language_of(self.language)
        except UnknownLanguage as error:
            raise ShopSettingsError(f"setting 'language': {error}") from error


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
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in asdict(settings).items())
