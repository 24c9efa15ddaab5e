"""Guesses which columns of an unknown file hold what, from their names in several languages and the shape of values,
and how its times are written.

A catalogue whose columns are called what others call them needs no mapping. What values look like is a guess for
`--suggest` alone: people look it over before anything is imported by it.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from shopfuse.datasets.importing.source_rows import Row

# Our field -> how shops call it: English, German, French, Spanish, Italian, Dutch, Polish; earlier names are surer.
_ITEM_NAMES: Final[dict[str, str]] = {
    "id": "id itemid productid articleid artikelnummer artikelnr artnr sku productcode code reference referenz ref "
    "codigo codice artikelid idproduit idproducto idprodotto numer kod handle uid variantid 商品id 商品编号 商品番号",
    "title": "title name productname itemname titel bezeichnung artikelbezeichnung artikelname produktname nom libelle "
    "designation titre nombre titulo nome titolo naam productnaam nazwa label 商品名 商品名称 名称 标题",
    "description": "description text longdescription beschreibung langtext artikeltext bodyhtml descriptif descripcion "
    "descrizione omschrijving opis shortdescription kurzbeschreibung details 描述 説明",
    "brand": "brand manufacturer vendor marke hersteller marque fabricant marca fabricante produttore merk fabrikant "
    "producent supplier maker 品牌 ブランド",
    "category": "category categories categorypath producttype kategorie kategorien warengruppe categorie categoria "
    "categorías categorieen rubriek kategoria breadcrumb type 分类 类目 カテゴリ",
    "price": "price saleprice unitprice preis verkaufspreis vk brutto bruttopreis prix precio prezzo prijs cena amount "
    "价格 価格",
    "sale_price": "saleprice specialprice discountprice discountedprice offerprice aktionspreis angebotspreis "
    "sonderpreis prixpromo prixsolde preciooferta preciorebajado prezzoscontato aanbiedingsprijs cenapromocyjna 促销价",
    "currency": "currency currencycode waehrung wahrung devise monnaie moneda valuta waluta 货币 通貨",
    "image": "image imagelink imageurl imageuri picture bild bildurl photo imagen immagine afbeelding zdjecie obraz "
    "img src thumbnail 图片 画像",
    "available": "availability available stock instock qty quantity inventory bestand lager lagerbestand "
    "verfuegbarkeit verfugbarkeit disponibilite disponible existencias disponibilita giacenza voorraad "
    "dostepnosc stan 库存 在庫",
    "published_at": "publishedat createdat created releasedate datereleased erstellt datum date fecha data",
    "group_id": "itemgroupid groupid parentid parentsku parent elternartikel produktgruppe gruppe modelid",
    "gtin": "gtin ean ean13 upc barcode isbn jan",
    "mpn": "mpn manufacturerpartnumber partnumber herstellernummer teilenummer",
    "sku": "sku",
}
_EVENT_NAMES: Final[dict[str, str]] = {
    "event_id": "eventid id messageid uuid",
    "event_name": "eventname event eventtype action actionname type typ ereignis evenement evento",
    "timestamp": "timestamp time eventtime eventtimestamp createdat datetime date zeit datum ts fecha",
    "user_id": "userid user customerid visitorid visitor clientid userpseudoid anonymousid kunde kundennummer client",
    "session_id": "sessionid session visitid",
    "query": "query searchterm searchquery keyword q userquery suchbegriff",
    "item_id": "itemid productid sku product item articleid artikelnummer objectid",
    "position": "position slot rank index",
    "price": "price amount value preis",
    "quantity": "quantity qty menge count",
    "device": "device devicetype platform",
    "locale": "locale language lang",
}
_REVIEW_NAMES: Final[dict[str, str]] = {
    "review_id": "reviewid commentid id uuid",
    "item_id": "productsku sku producthandle handle productid itemid asin product item articleid artikelnummer "
    "commentpostid idproduit idproducto idprodotto 商品id 商品编号",
    "rating": "rating stars starrating reviewrating reviewscore overall score bewertung sterne punkte note etoiles "
    "valoracion puntuacion estrellas valutazione stelle voto beoordeling sterren ocena gwiazdki 评分 評価",
    "text": "reviewtext reviewcontent reviewbody body content review comment commentcontent text message "
    "bewertungstext kommentar rezension avis commentaire opinion comentario recensione commento recensie opinia tresc "
    "评论 レビュー",
    "user_id": "userid reviewerid customerid authorid kundennummer",
    "timestamp": "reviewdate reviewtimestamp reviewtime unixreviewtime createdat datecreated submittedat date "
    "timestamp time datum zeit fecha data commentdategmt commentdate",
}
_HEADLINES: Final = "reviewtitle title headline summary subject titel betreff titre titulo titolo tytul 标题"
# Properties that shoppers filter by, and whatever calls itself an attribute.
_ATTRIBUTE: Final = re.compile(
    r"(?:attr|attribute|attribut|property|eigenschaft|merkmal|caracteristica|carateristica)[^\W_]*$|"
    r"(?:colou?r|farbe|couleur|color|colore|kleur|kolor|cor|size|grosse|groesse|taille|talla|taglia|maat|rozmiar|tamanho"
    r"|material|matiere|materiale|materiaal|pattern|gender|geschlecht|genre|genero|agegroup|condition|model|modell"
    r"|modele|modelo|tags|颜色|尺码|尺寸|材质|カラー|サイズ|素材)$"
)
_PRICE: Final = re.compile(r"(?:[^\d\s]{1,3}\s?)?\d{1,3}(?:[.,' ]?\d{3})*[.,]\d{2}(?:\s?[^\d\s]{1,3})?")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME_DIGITS: Final = {10: "s", 13: "ms", 16: "us"}
_DATE: Final = re.compile(
    r"(\d\d?)([./-])(\d\d?)\2(\d{4}|\d\d)(,?)((?: \d\d?:\d\d)?)((?::\d\d)?)((?: [AaPp][Mm])?)", re.ASCII
)
_IMAGE: Final = re.compile(r"\S+\.(?:jpe?g|png|webp|gif)(?:\?\S*)?", re.IGNORECASE)


def named_fields(columns: Sequence[str], rows: Sequence[Row], section: str) -> dict[str, Any]:
    """Our fields -> entries of a mapping, by the names of the columns; each feeds one field, the surest first."""
    fields: dict[str, Any] = {}
    plain = {name: _plain(name) for name in columns}
    for field, ranked in _ranked(section).items():
        fitting = [name for name in columns if plain[name] in ranked and name not in fields.values()]
        if fitting:
            fields[field] = min(fitting, key=lambda name: ranked[plain[name]])
    left = [name for name in columns if name not in fields.values()]
    if section == "review" and "text" in fields:
        headlines = [name for name in left if plain[name] in _HEADLINES.split()]
        fields["text"] = [*headlines[:1], fields["text"]] if headlines else fields["text"]
    if section == "item":
        _refine(fields, rows)
        if attributes := [name for name in left if _ATTRIBUTE.match(plain[name])]:
            fields["attributes"] = attributes
    return fields


def guessed_fields(columns: Sequence[str], rows: Sequence[Row], section: str) -> dict[str, Any]:
    """The same, and what lies in lists of objects, or looks like a price, an id or a title."""
    fields = named_fields(columns, rows, section)
    attributes = fields.pop("attributes", [])
    for field, ranked in _ranked(section).items():
        inside = [name for name in _nested(rows) if _plain(name.rpartition(".")[2]) in ranked]
        if field not in fields and inside and field in ("price", "image", "available", "item_id", "query"):
            fields[field] = inside[0]
    if section == "item":
        _by_shape(fields, [name for name in columns if name not in attributes], rows)
        _refine(fields, rows)
    ordered = {field: fields[field] for field in _ranked(section) if field in fields}
    return ordered | ({"attributes": attributes} if attributes else {})


def _ranked(section: str) -> dict[str, dict[str, int]]:
    """Our fields -> the names that columns for them have -> how sure they are, the surest 0."""
    names = {"item": _ITEM_NAMES, "event": _EVENT_NAMES, "review": _REVIEW_NAMES}[section]
    return {field: {word: place for place, word in enumerate(called.split())} for field, called in names.items()}


def shown_time_format(values: Sequence[str]) -> str | None:
    """How times are written, as mappings say it; None where the values do not show it. Of a day and a month, both at
    most 12, only a dot between them tells which comes first."""
    if not values:
        return None
    first = values[0].strip()
    if first.isdecimal():
        return _TIME_DIGITS.get(len(first))
    if _ISO.match(first):
        return "iso"
    dates = [match for value in values if (match := _DATE.fullmatch(value.strip()))]
    if len(dates) < len(values) or len({tuple(bool(match[part]) for part in (5, 6, 7, 8)) for match in dates}) > 1:
        return None
    between, year, comma, hours, seconds, half = dates[0].group(2, 4, 5, 6, 7, 8)
    day_first = between == "." or any(int(match[1]) > 12 for match in dates)
    if day_first == any(int(match[3]) > 12 for match in dates):
        return None
    date = between.join(("%d", "%m") if day_first else ("%m", "%d")) + between + ("%Y" if len(year) == 4 else "%y")
    clock = (" %I:%M" if half else " %H:%M") if hours else ""
    return date + comma + clock + (":%S" if seconds else "") + (" %p" if half else "")


def _by_shape(fields: dict[str, Any], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """What no name told: an id is different in every row, a title a short text, a price has two decimals."""
    for field, looks in (("price", _PRICE), ("image", _IMAGE)):
        if field not in fields:
            free = [name for name in columns if name not in fields.values()]
            fits = (name for name in free if _share(rows, name, looks) > 0.8)
            if (found := next(fits, None)) is not None:
                fields[field] = found
    free = [name for name in columns if name not in fields.values()]
    texts = {name: values for name in free if len(values := _texts(rows, name)) > 0.9 * len(rows) and values}
    unique = [name for name, values in texts.items() if len(set(values)) == len(values) and len(values) > 1]
    if "id" not in fields:
        codes = [name for name in unique if all(len(value) <= 64 and " " not in value for value in texts[name])]
        if codes:
            fields["id"] = codes[0]
    if "title" not in fields:
        wordy = [name for name in texts if name != fields.get("id") and _mean_words(texts[name]) > 1.3]
        if wordy:
            fields["title"] = min(wordy, key=lambda name: abs(_mean_words(texts[name]) - 5))


def _refine(fields: dict[str, Any], rows: Sequence[Row]) -> None:
    """How a category is split, which its values show."""
    if isinstance(name := fields.get("category"), str):
        values = _texts(rows, name)
        for separator in (">", "»", "|", "/", "\\"):
            if sum(separator in value for value in values) > len(values) / 2:
                fields["category"] = {"field": name, "separator": separator}
                return


def _nested(rows: Sequence[Row]) -> list[str]:
    """Names of fields in objects, and in the objects of lists."""
    names: dict[str, None] = {}
    for row in rows[:20]:
        for name, value in row.items():
            first = value[0] if isinstance(value, list) and value else value
            names |= dict.fromkeys(f"{name}.{inner}" for inner in first) if isinstance(first, dict) else {}
    return list(names)


def _texts(rows: Sequence[Row], name: str) -> list[str]:
    values = (row.get(name) for row in rows)
    return [str(value) for value in values if isinstance(value, str | int | float) and str(value).strip()]


def _share(rows: Sequence[Row], name: str, looks: re.Pattern[str]) -> float:
    values = _texts(rows, name)
    return sum(bool(looks.fullmatch(value.strip())) for value in values) / len(values) if values else 0.0


def _mean_words(values: list[str]) -> float:
    return sum(len(value.split()) for value in values) / len(values)


def _plain(name: str) -> str:
    """Letters and digits alone, without case and accents."""
    folded = unicodedata.normalize("NFKD", name.casefold().removeprefix("g:"))
    return "".join(char for char in folded if char.isalnum())
