"""A workspace: the folder that holds one shop; opens its tables lazily. See core.workspace_paths for what lies where.

It writes nothing but `shop.toml`: importers, the demo shop, training and exporters fill the rest. Opening completes an
import that was cut short.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shopfuse.core.atomic_files import finish_commit, has_commit, write_text
from shopfuse.core.errors import ShopfuseError
from shopfuse.core.workspace_paths import WorkspacePaths
from shopfuse.datasets.schema import EVENT_SCHEMA, IMAGE_SCHEMA, ITEM_SCHEMA, PHOTO_SCHEMA, REVIEW_SCHEMA
from shopfuse.datasets.shop_settings import ShopSettings, read_settings, settings_toml
from shopfuse.datasets.workspace_lock import WorkspaceLockedError, workspace_lock


class WorkspaceError(ShopfuseError):
    """The folder is not a workspace, or lacks what was asked of it."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One shop on disk. Build it with `open`, `create` or `open_or_create`."""

    paths: WorkspacePaths
    settings: ShopSettings

    @property
    def root(self) -> Path:
        return self.paths.root

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """Open an existing workspace; WorkspaceError when it is none, ShopSettingsError when its shop.toml is wrong."""
        paths = WorkspacePaths(root.absolute())
        if not paths.settings.is_file():
            problem = "no such folder" if not root.exists() else "not a shopfuse workspace (it has no shop.toml)"
            raise WorkspaceError(f"{paths.root}: {problem}")
        workspace = cls(paths, read_settings(paths.settings))
        workspace._finish_commits()
        return workspace

    @classmethod
    def create(cls, root: Path, settings: ShopSettings | None = None) -> "Workspace":
        """Make a workspace in a new or empty folder."""
        root, paths = root.absolute(), WorkspacePaths(root.absolute())
        if root.exists() and not root.is_dir():
            raise WorkspaceError(f"{root}: a file of this name is in the way")
        if paths.settings.exists():
            raise WorkspaceError(f"{root}: already a workspace")
        if root.is_dir() and {path.name for path in root.iterdir()} - {"lost+found"}:  # of a disk that is mounted here
            raise WorkspaceError(f"{root}: not empty; a workspace starts in a new or empty folder")
        workspace = cls(paths, settings or ShopSettings())
        write_text(paths.settings, settings_toml(workspace.settings))
        return workspace

    @classmethod
    def open_or_create(cls, root: Path) -> "Workspace":
        """Open the workspace at `root`, or make one with the default settings."""
        return cls.open(root) if WorkspacePaths(root).settings.exists() else cls.create(root)

    def _finish_commits(self) -> None:
        """Complete an import that died while its files took their places; a living one completes its own."""
        imported = self.paths.catalogue, self.paths.events, self.paths.reviews
        folders = [folder for folder in imported if has_commit(folder)]
        if folders:
            with suppress(WorkspaceLockedError), workspace_lock(self.root):
                for folder in folders:
                    finish_commit(folder)

    @property
    def has_items(self) -> bool:
        return self.paths.items.is_file()

    @property
    def has_images(self) -> bool:
        return self.paths.images.is_file()

    @property
    def has_photos(self) -> bool:
        return self.paths.photos.is_file()

    @property
    def has_events(self) -> bool:
        return bool(self.paths.event_days)

    @property
    def has_reviews(self) -> bool:
        return self.paths.reviews_table.is_file()

    def items(self) -> pl.LazyFrame:
        """What the shop sells (ITEM_SCHEMA), sorted by item_id; WorkspaceError when no catalogue was imported."""
        if not self.has_items:
            raise WorkspaceError(f"{self.root}: no catalogue yet; bring one with 'shopfuse import catalog'")
        # A catalogue that an older version imported has not all of the columns.
        return pl.scan_parquet(self.paths.items, schema=ITEM_SCHEMA, missing_columns="insert", hive_partitioning=False)

    def retired_items(self) -> pl.LazyFrame:
        """What it sold once (ITEM_SCHEMA), sorted by item_id; empty when nothing was retired."""
        if not self.paths.retired_items.is_file():
            return pl.LazyFrame(schema=ITEM_SCHEMA)
        path = self.paths.retired_items
        return pl.scan_parquet(path, schema=ITEM_SCHEMA, missing_columns="insert", hive_partitioning=False)

    def all_items(self) -> pl.LazyFrame:
        """What it sells and what it sold, sorted by item_id: what training learns from."""
        if not self.paths.retired_items.is_file():
            return self.items()
        return pl.concat([self.items(), self.retired_items()]).sort("item_id")

    def images(self) -> pl.LazyFrame:
        """The encoded images (IMAGE_SCHEMA) of the items that have one; empty when there are none."""
        if not self.has_images:
            return pl.LazyFrame(schema=IMAGE_SCHEMA)
        return pl.scan_parquet(self.paths.images, hive_partitioning=False)

    def photos(self) -> pl.LazyFrame:
        """Photos (PHOTO_SCHEMA) of items as people take them, sorted by photo; empty when there are none."""
        if not self.has_photos:
            return pl.LazyFrame(schema=PHOTO_SCHEMA)
        return pl.scan_parquet(self.paths.photos, hive_partitioning=False)

    def all_images(self) -> pl.LazyFrame:
        """Every image of an item (IMAGE_SCHEMA): the catalogue's own, then photos; an item may have many or none."""
        return pl.concat([self.images(), self.photos().select(list(IMAGE_SCHEMA))])

    def events(self) -> pl.LazyFrame:
        """All events (EVENT_SCHEMA) by day, each day sorted by (timestamp, event_id); empty when there are none."""
        paths = self.paths.event_days
        if not paths:
            return pl.LazyFrame(schema=EVENT_SCHEMA)
        return pl.scan_parquet(paths, hive_partitioning=False)

    def reviews(self) -> pl.LazyFrame:
        """What buyers wrote (REVIEW_SCHEMA), sorted by review_id; empty when there is nothing."""
        if not self.has_reviews:
            return pl.LazyFrame(schema=REVIEW_SCHEMA)
        return pl.scan_parquet(self.paths.reviews_table, hive_partitioning=False)
