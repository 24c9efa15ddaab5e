"""Product groups that a mapping does not name: taken from an attribute that feeds call so, or suggested where titles
differ by size, colour or number alone. Nothing is ever merged on a guess."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from shopfuse.datasets.importing.values.text_cleaning import filled
from shopfuse.datasets.schema import MAX_ID

# As feeds of the field call the product that an item is a variant of; without regard to case, spaces and signs.
GROUP_NAMES: Final = (
    "itemgroupid", "groupid", "productgroupid", "parentsku", "parentid", "parentitemid", "parentproductid",
    "parentasin", "variantgroupid", "variantof", "inproductgroupwithid", "modelgroupid", "masterid", "masterproductid",
)  # fmt: skip

_COLOURS: Final = (
    "black|white|gr[ea]y|red|blue|green|yellow|orange|purple|violet|pink|brown|beige|navy|turquoise|silver|gold|"
    "schwarz|weiß|weiss|grau|rot|blau|grün|gelb|lila|rosa|braun|silber|türkis|"
    "noire?|blanc(?:he)?|gris|rouge|bleue?|verte?|jaune|marron|argent|"
    "negr[oa]|blanc[oa]|roj[oa]|azul|verde|amarill[oa]|morad[oa]|rosado|marrón|plata|"
    "ner[oa]|bianc[oa]|grigi[oa]|ross[oa]|giall[oa]|viola|marrone|argento|"
    "zwart|wit|grijs|rood|blauw|groen|geel|paars|roze|bruin|zilver|goud"
)
_UNITS: Final = "mm|cm|dm|m|km|ml|cl|l|mg|g|kg|oz|lb|lbs|ft|in|inch|zoll|mb|gb|tb|w|v|mah|pcs|pack|er|eu|uk|us"
_NUMBER: Final = rf"\d+(?:[.,/x\u00d7*-]\d+)*(?:\s?(?:{_UNITS}))?"
_SIZES: Final = r"one size|x{0,4}[sl]|\dx[sl]|m|small|medium|large|x-?large|x-?small"
_TOLD_APART: Final = rf"\b(?:{_NUMBER}|{_SIZES}|{_COLOURS})\b"
_LEAST_LETTERS: Final = 8
EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class LikelyVariants:
    """Items without a group that look like variants of one product."""

    items: int
    products: int
    examples: tuple[str, ...]  # ids of the largest of them

    @property
    def note(self) -> str:
        return (
            f"items look like variants of {self.products} products, such as {', '.join(self.examples)}: with the key "
            "group_id in the mapping, a list shows each product once"
        )


def take_groups(items: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, int]]:
    """The items (with `attributes` and a `group_id` that no mapping filled), grouped by an attribute of GROUP_NAMES
    where they have one; and how many by which. The attribute stays."""
    pairs = items.select("row", "attributes").explode("attributes").unnest("attributes")
    named = pl.col("name").str.to_lowercase().str.replace_all(r"[^\p{L}\p{N}]+", "").is_in(GROUP_NAMES)
    groups = pairs.filter(named).unique("row", keep="first", maintain_order=True)
    if groups.is_empty():
        return items, {}
    taken = groups.select("row", group=filled(pl.col("value").str.slice(0, MAX_ID)))
    joined = items.join(taken, on="row", how="left", maintain_order="left")
    counts = groups.group_by("name").len().sort("name").iter_rows()
    return joined.with_columns(group_id=pl.col("group")).drop("group"), dict(counts)


def likely_variants(items: pl.LazyFrame) -> LikelyVariants | None:
    """Those of the items without a group whose brand is the same, and the title but for sizes, colours and numbers."""
    title = pl.col("title").str.to_lowercase().str.replace_all(_TOLD_APART, " ").str.replace_all(r"[^\p{L}\p{N}]+", " ")
    alone = items.filter(pl.col("group_id").is_null()).select(
        "item_id", pl.col("brand").str.to_lowercase(), title=title.str.strip_chars()
    )
    telling = alone.filter(pl.col("title").str.contains(" ") & (pl.col("title").str.len_chars() >= _LEAST_LETTERS))
    alike = telling.select("item_id", key=pl.struct("brand", "title").hash()).group_by("key")
    found = alike.agg(pl.len(), first=pl.col("item_id").sort().head(EXAMPLES)).filter(pl.col("len") > 1).collect()
    if found.is_empty():
        return None
    largest = found.sort("len", "first", descending=[True, False])["first"][0].to_list()
    return LikelyVariants(int(found["len"].sum()), found.height, tuple(largest))
