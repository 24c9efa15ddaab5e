"""Whether the parts of a release belong together, and to this program. Told by the manifest, before a file is opened.

An index of one encoder searched with the vectors of another gives wrong answers without any error: hence a release
says what each of its files was computed with, and one that does not say it is not served.
"""

from __future__ import annotations

from collections.abc import Iterator

from shopfuse.ranking.channels import CHANNELS
from shopfuse.ranking.features import schema_hash
from shopfuse.ranking.repeat_purchases import CHOICES
from shopfuse.ranking.text_heads import CLASSIFY_TEXT, HEADS
from shopfuse.release.ingredients import LABELS, ingredients
from shopfuse.release.manifest import Manifest, ReleaseError, model_file

DIGITS = 12  # of a sha256, in a message


class IncompatibleRelease(ReleaseError):
    """A genuine release whose parts do not fit each other or this program."""


def check_compatible(manifest: Manifest) -> None:
    """Raises IncompatibleRelease naming the first parts that do not belong."""
    checks = (
        _schema_problems,
        _model_problems,
        _image_problems,
        _head_problems,
        _ingredient_problems,
        _policy_problems,
    )
    if problems := [problem for check in checks for problem in check(manifest)]:
        raise IncompatibleRelease(f"release {manifest.release_id} cannot be served: {'; '.join(problems[:3])}")


def _schema_problems(manifest: Manifest) -> Iterator[str]:
    expected = schema_hash(manifest.scenes, CHANNELS)
    if manifest.feature_schema != expected:
        yield (
            f"feature schema {manifest.feature_schema[:DIGITS]}, this program's is {expected[:DIGITS]}: serve it with "
            "the version of shopfuse that built it, or build a new release"
        )


def _model_problems(manifest: Manifest) -> Iterator[str]:
    for name in manifest.models:
        path, expected = model_file(manifest.models[name]), manifest.models[name].sha256
        if (actual := manifest.files.get(path)) != expected:
            yield f"{name} is {expected[:DIGITS]}, its file {path} is {_short(actual)}"


def _image_problems(manifest: Manifest) -> Iterator[str]:
    """Without the ensemble, searches by image would be refused as those of a shop without images are."""
    if "image_encoder" in manifest.models and "encode_image" not in manifest.ensembles:
        yield "it has an image encoder and no ensemble encode_image: train and build it again (shopfuse build)"


def _head_problems(manifest: Manifest) -> Iterator[str]:
    """A head without labels, or labels without a head, would be found out by the first text only."""
    heads = [name for name in HEADS if name in manifest.models]
    if heads != [name for name in HEADS if name in manifest.labels]:
        yield f"its text heads are {heads}, it has labels of {sorted(manifest.labels)}"
    if bool(heads) != (CLASSIFY_TEXT in manifest.ensembles):
        yield f"its text heads are {heads}, its ensembles {sorted(manifest.ensembles)}"
    if heads and LABELS not in manifest.files:
        yield f"it has text heads and no file {LABELS}"


def _policy_problems(manifest: Manifest) -> Iterator[str]:
    for choice in {manifest.repeat_purchases, *manifest.repeat_purchases_by_category.values()} - set(CHOICES):
        yield f"its choice of repeat purchases is {choice!r}, this program knows {', '.join(CHOICES)}"


def _ingredient_problems(manifest: Manifest) -> Iterator[str]:
    for path, needed in ingredients(manifest.models).items():
        for ingredient in needed:
            if ingredient not in manifest.built_with.get(path, {}):
                yield f"the manifest does not say which {ingredient} {path} was computed with"
    for path, stated in manifest.built_with.items():
        for ingredient, sha in stated.items():
            if (actual := _sha_of(manifest, ingredient)) != sha:
                yield (
                    f"{path} was computed with {ingredient} {sha[:DIGITS]}, the release has {_short(actual)}: "
                    "build the release again"
                )


def _sha_of(manifest: Manifest, ingredient: str) -> str | None:
    if ingredient in manifest.models:
        return manifest.models[ingredient].sha256
    return manifest.files.get(ingredient)


def _short(sha: str | None) -> str:
    return sha[:DIGITS] if sha else "none"
