# ruff: noqa: RUF001  (words of many languages are what it is about)
"""Whether an item can be bought, as shops say it: a count, a word in their language, or an address of schema.org.

What can be ordered now and comes later (backorder, preorder) can be bought.
"""

import math
import re
from decimal import Decimal
from typing import Any, Final

from shopfuse.datasets.importing.values.field_values import BadValueError, as_text

# In the form of _key: lower case, letters and digits alone.
_YES: Final = """
    true t yes y instock available availablenow availabletoorder availableforsale inventory onstock buyable active
    onbackorder backorder backordered availableonbackorder preorder preordered presale prerelease madetoorder
    madeondemand onorder onrequest
    limitedavailability limitedstock limited lowstock lowinstock fewleft onlyafewleft lastitems laststock
    onlineonly instoreonly reservable orderable readytoship shipsnow continue
    ja j wahr verfügbar lieferbar sofortlieferbar sofortverfügbar auflager lagernd vorrätig bestellbar vorbestellbar
    nachbestellbar nurnochwenige begrenztverfügbar auflagerfürdich lieferbarinkürze
    oui vrai disponible enstock dispo surcommande précommande precommande stocklimité enreapprovisionnement
    si sí sì verdadero enexistencia enexistencias hayexistencias hayexistencia bajopedido preventa reserva prepedido
    vero disponibile inmagazzino pronta prontaconsegna ordinabile suordinazione preordine
    sim verdadeiro disponível disponivel emestoque emstock prontaentrega sobencomenda encomenda prévenda
    beschikbaar opvoorraad voorradig leverbaar directleverbaar nabestelling vooruitbestellen
    tak prawda dostępny dostępna dostępne wmagazynie nastanie namagazynie nazamówienie przedsprzedaż
    ano skladem naskladě dostupné dostupný kdispozici naobjednávku předobjednávka áno nasklade
    igen raktáron készleten elérhető rendelhető előrendelhető
    da instoc înstoc disponibil lacomandă precomandă
    på ilager pålager tillgänglig tilgængelig tilgjengelig beställningsvara bestillingsvare kyllä varastossa saatavilla
    evet var stokta stoktavar mevcut önsipariş
    да вналичии естьвналичии есть доступно доступен подзаказ предзаказ так внаявності євнаявності наявний
    是 有 有货 有貨 现货 現貨 库存 预订 預購 はい 在庫あり あり 予約 予約受付中 取り寄せ お取り寄せ
    예 재고있음 판매중 예약판매
    متوفر متاح نعم
"""
_NO: Final = """
    false f no n outofstock outstock soldout unavailable notavailable notinstock nostock discontinued ended
    archived draft inactive deny reserved endoflife eol temporarilyoutofstock currentlyunavailable obsolete
    nein falsch nichtverfügbar nichtlieferbar nichtauflager nichtvorrätig ausverkauft vergriffen derzeitnichtverfügbar
    zurzeitnichtlieferbar momentannichtverfügbar eingestellt
    non faux indisponible épuisé epuise rupture enrupture rupturedestock enrupturedestock horsstock nondisponible
    agotado agotada sinexistencias sinexistencia sinstock nodisponible falso
    esaurito nondisponibile fuoristock terminato
    não nao esgotado semestoque indisponível indisponivel foradeestoque semstock
    nee uitverkocht nietopvoorraad nietbeschikbaar nietleverbaar onwaar
    nie fałsz niedostępny niedostępna niedostępne brak brakwmagazynie wyprzedane wyprzedany
    ne vyprodáno nenískladem nedostupné vypredané
    nem elfogyott nincsraktáron nemelérhető nincskészleten
    nu stocepuizat epuizat indisponibil fărăstoc
    nej nei slut slutilager slutsåld ejilager udsolgt ikkepålager utsolgt ei loppu loppuunmyyty eivarastossa
    hayır yok tükendi stoktayok mevcutdeğil
    нет нетвналичии распродано отсутствует недоступно ні немаєвнаявності
    否 无 無 缺货 缺貨 无货 無貨 售罄 いいえ なし 在庫なし 在庫切れ 品切れ 売り切れ 売切れ 아니오 품절 재고없음
    غيرمتوفر لا
"""
_SCHEMA_ORG: Final = re.compile(r"^(?:https?://(?:www\.)?schema\.org/|schema:)", re.IGNORECASE)
_COUNT: Final = re.compile(r"([<>≥~+-]?)\s*(\d+)(?:[.,]0+)?\s*\+?", re.ASCII)
_SOME: Final = re.compile(
    r"(?:more than |over |nur noch |only |noch )?(\d+) ?(?:in stock|left|pcs|pieces|stk|stück|st)\.?", re.ASCII
)


def as_available(value: Any) -> bool:
    """Whether the item can be bought; yes where nothing is said. A count below zero is an oversold item."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        return not math.isnan(value) and value > 0
    text = (as_text(value) or "").strip()
    if not text:
        return True
    known = _WORDS.get(_key(text))
    if known is not None:
        return known
    if count := _COUNT.fullmatch(text):
        return count[1] != "-" and (int(count[2]) > 0 or count[1] == ">")
    if some := _SOME.fullmatch(text.casefold()):
        return int(some[1]) > 0
    raise BadValueError("expected a count, or words such as in stock or out of stock", value)


def _key(text: str) -> str:
    return "".join(filter(str.isalnum, _SCHEMA_ORG.sub("", text).casefold()))


_WORDS: Final = {
    **dict.fromkeys(map(_key, _YES.split()), True),
    **dict.fromkeys(map(_key, _NO.split()), False),
}
