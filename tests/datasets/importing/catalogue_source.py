"""A catalogue as a shop would bring it: its mapping, a row with everything, and an image."""

from pathlib import Path

from PIL import Image

from shopfuse.datasets.importing.mapping import CatalogueMapping, Source

MAPPING = CatalogueMapping(
    sources={
        "id": Source(("id",)),
        "title": Source(("title",)),
        "description": Source(("text",)),
        "brand": Source(("brand",)),
        "category": Source(("category",), separator=">"),
        "price": Source(("price",), scale=0.01),
        "currency": Source(value="EUR"),
        "image": Source(("image",)),
        "available": Source(("stock",)),
        "published_at": Source(("created",)),
        "group_id": Source(("parent",)),
        "gtin": Source(("ean",)),
        "mpn": Source(("part",)),
        "sku": Source(("article",)),
    },
    attributes=(Source(("attr_*",), strip_prefix="attr_"), Source(("specs",))),
)
SMALL = CatalogueMapping({"id": Source(("id",)), "title": Source(("title",)), "price": Source(("price",))})
FULL_ROW: dict[str, object] = {
    "id": 1042,
    "title": "  Oak\ttable\u0000 Cafe\u0301 ",
    "text": "Seats six.\nOiled.",
    "brand": "Nordholm",
    "category": "Home > Tables > ",
    "price": 34999,
    "stock": "out of stock",
    "created": "2024-03-01T10:00:00+02:00",
    "parent": "oak",
    "ean": 4006381333931,
    "part": " OT-75/2 ",
    "article": "-",
    "attr_colour": ["natural", "white", "white"],
    "attr_height": 75.0,
    "attr_foldable": False,
    "attr_empty": None,
    "specs": {"legs": 4, "finish": "oil"},
    "other": "left alone",
}


def image(path: Path, size: tuple[int, int] = (4, 3), form: str = "PNG") -> bytes:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", size, (200, 30, 30)).save(path, format=form)
    return path.read_bytes()
