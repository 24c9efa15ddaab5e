"""Column names, types and bounds of the four tables a workspace holds: items, images, events and reviews.

Only the declaration: who fills the tables (an importer, the demo shop) cleans the values, readers may rely on them.
"""

from typing import Final

import polars as pl

from shopfuse.ranking.user_state import EVENT_CODES, ID_BYTES

TIMESTAMP: Final = pl.Datetime("us", "UTC")
ATTRIBUTE: Final = pl.Struct({"name": pl.String(), "value": pl.String()})

ITEM_SCHEMA: Final = pl.Schema(
    {
        "item_id": pl.String(),
        "title": pl.String(),
        "description": pl.String(),
        "brand": pl.String(),
        "category": pl.List(pl.String()),
        "other_categories": pl.List(pl.List(pl.String())),  # paths that filters find the item under as well
        "price": pl.Float64(),
        "currency": pl.String(),
        "attributes": pl.List(ATTRIBUTE),
        "image_uri": pl.String(),
        "available": pl.Boolean(),
        "published_at": TIMESTAMP,
        "group_id": pl.String(),  # the product that this is a variant of
        "gtin": pl.String(),
        "mpn": pl.String(),
        "sku": pl.String(),
    }
)

IMAGE_SCHEMA: Final = pl.Schema({"item_id": pl.String(), "image": pl.Binary()})

PHOTO_SCHEMA: Final = pl.Schema({"photo": pl.String(), "item_id": pl.String(), "image": pl.Binary()})

EVENT_SCHEMA: Final = pl.Schema(
    {
        "event_id": pl.String(),
        "event_name": pl.String(),
        "timestamp": TIMESTAMP,
        "user_id": pl.String(),
        "session_id": pl.String(),
        "request_id": pl.String(),
        "query": pl.String(),
        "item_id": pl.String(),
        "position": pl.Int32(),
        "list_name": pl.String(),
        "price": pl.Float64(),
        "quantity": pl.Int32(),
        "scene": pl.String(),
        "device": pl.String(),
        "locale": pl.String(),
    }
)

REVIEW_SCHEMA: Final = pl.Schema(
    {
        "review_id": pl.String(),
        "item_id": pl.String(),
        "user_id": pl.String(),
        "rating": pl.Float32(),  # stars, 1 to 5
        "text": pl.String(),
        "timestamp": TIMESTAMP,
    }
)

EVENT_NAMES: Final = ("view_item_list", "search", *EVENT_CODES)
LIST_NAMES: Final = ("search", "recommend")

MAX_ITEM_ID: Final = ID_BYTES  # of UTF-8, as on the wire
MAX_TITLE: Final = 512  # code points, as all lengths of text here
MAX_DESCRIPTION: Final = 4096
MAX_ATTRIBUTE_VALUE: Final = 256
MAX_ATTRIBUTES: Final = 256
MAX_LABEL: Final = 128  # brand, one category level, attribute name
MAX_ID: Final = 128  # user, session and request ids, which come from elsewhere and follow no pattern of ours
MAX_SCENE: Final = 64
MAX_LOCALE: Final = 35
MAX_CATEGORY_DEPTH: Final = 6
MAX_URI: Final = 2048
MAX_REVIEW: Final = 4096
