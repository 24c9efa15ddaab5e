"""Breaks a release in one way at a time; what is not about signatures is signed anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.ranking.labels import SENTIMENT_LABELS, Labels, labels_json
from shopfuse.ranking.text_heads import CATEGORY_HEAD, CLASSIFY_TEXT, HEADS
from shopfuse.release.ingredients import LABELS
from shopfuse.release.layout import ReleaseLayout
from shopfuse.release.signature import create_keys, sign
from shopfuse.release.verify import sha256_file


def layout_of(workspace: Path, release_id: str) -> ReleaseLayout:
    return ReleaseLayout(workspace / "releases" / release_id)


def manifest_of(workspace: Path, release_id: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(layout_of(workspace, release_id).manifest.read_text())
    return manifest


def edit_manifest(workspace: Path, release_id: str, /, **changes: object) -> None:
    """Changes fields of the manifest, and signs it."""
    layout = layout_of(workspace, release_id)
    text = json.dumps(manifest_of(workspace, release_id) | changes)
    layout.manifest.write_text(text)
    layout.signature.write_bytes(sign(text.encode(), WorkspacePaths(workspace).private_key))


def sign_files(workspace: Path, release_id: str, *paths: Path) -> None:
    """Makes the manifest say what these files of the release hold now."""
    files = manifest_of(workspace, release_id)["files"]
    root = layout_of(workspace, release_id).root
    changed = {str(path.relative_to(root)): sha256_file(path) for path in paths}
    edit_manifest(workspace, release_id, files=files | changed)


def tamper(workspace: Path, release_id: str) -> None:
    path = layout_of(workspace, release_id).items / "item_vectors.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def sign_with_another_key(workspace: Path, release_id: str) -> None:
    layout, keys = layout_of(workspace, release_id), workspace / "other_keys"
    create_keys(keys)
    layout.signature.write_bytes(sign(layout.manifest.read_bytes(), keys / WorkspacePaths(workspace).private_key.name))


def lose_signature(workspace: Path, release_id: str) -> None:
    layout_of(workspace, release_id).signature.unlink()


def change_after_signing(workspace: Path, release_id: str) -> None:
    manifest = layout_of(workspace, release_id).manifest
    manifest.write_text(manifest.read_text().replace('"weighted"', '"vote"'))


def take_foreign_index(workspace: Path, release_id: str) -> None:
    """The index of an encoder that the release does not have."""
    built_with = manifest_of(workspace, release_id)["built_with"]
    built_with["indexes/semantic.faiss"]["text_encoder"] = "12ab" * 16
    edit_manifest(workspace, release_id, built_with=built_with)


def take_foreign_images(workspace: Path, release_id: str) -> None:
    """Image vectors of an encoder that the release does not have."""
    built_with = manifest_of(workspace, release_id)["built_with"]
    built_with["indexes/visual.faiss"]["image_encoder"] = "12ab" * 16
    edit_manifest(workspace, release_id, built_with=built_with)


def lose_encode_image(workspace: Path, release_id: str) -> None:
    """A release of a version that had another name for it."""
    ensembles = manifest_of(workspace, release_id)["ensembles"]
    del ensembles["encode_image"]
    edit_manifest(workspace, release_id, ensembles=ensembles)


def lose_images(workspace: Path, release_id: str) -> None:
    """A shop without an image encoder."""
    manifest = manifest_of(workspace, release_id)
    names = {"image_encoder", "image_tower", "encode_image"}
    made_with = {
        path: {name: sha for name, sha in made.items() if name not in names}
        for path, made in manifest["built_with"].items()
    }
    left = {
        part: {name: manifest[part][name] for name in manifest[part].keys() - names} for part in ("models", "ensembles")
    }
    edit_manifest(workspace, release_id, **left, built_with=made_with)


def take_foreign_tokenizer(workspace: Path, release_id: str) -> None:
    """An encoder that was made for another tokenizer."""
    manifest = manifest_of(workspace, release_id)
    encoder = next(path for path in manifest["built_with"] if "/text_encoder/" in path)
    edit_manifest(workspace, release_id, built_with=manifest["built_with"] | {encoder: {"tokenizer.json": "12ab" * 16}})


def hide_ingredients(workspace: Path, release_id: str) -> None:
    edit_manifest(workspace, release_id, built_with={})


def take_foreign_model(workspace: Path, release_id: str) -> None:
    """A model other than the one that was checked: its file is signed, too."""
    models = manifest_of(workspace, release_id)["models"]
    models["query_tower"]["sha256"] = "12ab" * 16
    edit_manifest(workspace, release_id, models=models)


def know_other_scenes(workspace: Path, release_id: str) -> None:
    edit_manifest(workspace, release_id, scenes=["holiday", "campaign"])


def count_other_items(workspace: Path, release_id: str) -> None:
    edit_manifest(workspace, release_id, items=61)


def speak_another_language(workspace: Path, release_id: str) -> None:
    edit_manifest(workspace, release_id, language="zh")


def take_another_name(workspace: Path, release_id: str) -> None:
    edit_manifest(workspace, release_id, release_id="r1" if release_id != "r1" else "r2")


def add_heads(workspace: Path, release_id: str, heads: Sequence[str] = HEADS) -> None:
    """Text heads with three labels each; the categories answer where they hold 0.6."""
    layout, manifest = layout_of(workspace, release_id), manifest_of(workspace, release_id)
    models, files, built_with = manifest["models"], manifest["files"], manifest["built_with"]
    version = models["text_encoder"]["version"]
    categories = Labels((("Home", "Lamps"), ("Home", "Sofas"), ("Sport",)), 0.6)
    labels = {name: categories if name == CATEGORY_HEAD else SENTIMENT_LABELS for name in heads}
    layout.labels.write_text(labels_json(labels))
    files[LABELS] = sha256_file(layout.labels)
    for name in heads:
        path = f"models/{name}/{version}/model.onnx"
        file = layout.root / path
        file.parent.mkdir(parents=True)
        file.write_bytes(name.encode())
        files[path] = sha256_file(file)
        models[name] = {"model": name, "version": version, "precision": "fp32", "sha256": files[path]}
        built_with[path] = {"text_encoder": models["text_encoder"]["sha256"]}
    built_with[LABELS] = {name: models[name]["sha256"] for name in heads}
    ensembles = manifest["ensembles"] | {CLASSIFY_TEXT: f"{CLASSIFY_TEXT}_{release_id}"}
    counts = dict.fromkeys(heads, 3)
    edit_manifest(
        workspace, release_id, models=models, files=files, built_with=built_with, ensembles=ensembles, labels=counts
    )


Damage: TypeAlias = Callable[[Path, str], None]
# what is done to a release -> (the reason that is counted, what the error says)
BREAKS: dict[Damage, tuple[str, str]] = {
    tamper: ("damaged", "item_vectors.npy: sha256"),
    lose_signature: ("signature", "manifest.sig: cannot be read"),
    sign_with_another_key: ("signature", "signed with another key"),
    change_after_signing: ("signature", "the manifest was changed"),
    take_foreign_index: ("incompatible", "indexes/semantic.faiss was computed with text_encoder 12ab12ab12ab"),
    take_foreign_images: ("incompatible", "indexes/visual.faiss was computed with image_encoder 12ab12ab12ab"),
    lose_encode_image: (
        "incompatible",
        "it has an image encoder and no ensemble encode_image: train and build it again (shopfuse build)",
    ),
    take_foreign_tokenizer: ("incompatible", "was computed with tokenizer.json 12ab12ab12ab"),
    hide_ingredients: ("incompatible", "does not say which text_encoder indexes/semantic.faiss was computed with"),
    take_foreign_model: ("incompatible", "query_tower is 12ab12ab12ab, its file models/query_tower/"),
    know_other_scenes: ("incompatible", "feature schema"),
    count_other_items: ("incompatible", "expected"),
    speak_another_language: ("incompatible", "a lexical index in 'en', the manifest says 'zh'"),
    take_another_name: ("incompatible", "holds r"),
}
