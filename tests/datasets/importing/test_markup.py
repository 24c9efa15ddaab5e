"""Texts of an import hold no HTML: entities are their characters, tags are gone, what only looks like them stays."""

from pathlib import Path

import pytest

from shopfuse.datasets.importing.catalogue import import_catalogue
from shopfuse.datasets.importing.values.markup import plain_text
from shopfuse.datasets.workspace import Workspace
from tests.datasets.importing.catalogue_source import MAPPING
from tests.datasets.importing.import_files import write_jsonl


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Salt &amp; pepper", "Salt & pepper"),
        ("Salt &amp;amp; pepper", "Salt & pepper"),
        ("27&amp;quot; monitor", '27" monitor'),
        ("Caf&eacute; cr&#232;me &#x2013; 5 &euro;", "Caf\u00e9 cr\u00e8me \u2013 5 \u20ac"),
        ("<p>Airy <strong>linen</strong> shirt</p>", "Airy linen shirt"),
        ("<b>str</b>ong", "strong"),
        ("one<br>two<br/>three", "one two three"),
        ("<ul><li>Oak</li><li>Steel</li></ul>", "Oak Steel"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("&lt;p&gt;Escaped &lt;b&gt;whole&lt;/b&gt;&lt;/p&gt;", "Escaped whole"),
        ("&amp;lt;p&amp;gt;twice&amp;lt;/p&amp;gt;", "twice"),
        ("<style>p { color: red }</style><p>Seen</p><script>if (a < b) run('<i>')</script>", "Seen"),
        ("<!-- hidden --> seen", "seen"),
        ('<p style="font-family: &quot;Arial&quot;" class=x>A &amp; B</p>', "A & B"),
        ('<a href="/x?a=1&b=2" title="x > y">link</a>', "link"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("<P>upper</P>", "upper"),
        ("<p>5 < 10 and I <3 R&D</p>", "5 < 10 and I <3 R&D"),
        ("<p>x <y and z</p>", "x <y and z"),
        ("a < b", "a < b"),
        ("5 < 10 > 3", "5 < 10 > 3"),
        ("I <3 cups", "I <3 cups"),
        ("R&D, Q&A, rock&notice", "R&D, Q&A, rock&notice"),
        ("<b>R&D</b> copy&paste drag&parachute", "R&D copy&paste drag&parachute"),
        ("size <M, a<b and c>d", "size <M, a<b and c>d"),
        ("mail <me@example.org>", "mail <me@example.org>"),
        ("&unknown; &;", "&unknown; &;"),
        ("", ""),
    ],
)
def test_text_is_what_a_browser_shows(text: str, plain: str) -> None:
    assert " ".join(plain_text(text).split()) == plain


def test_every_text_of_an_item_is_plain(tmp_path: Path, workspace: Workspace) -> None:
    row = {
        "id": "a&amp;b",
        "title": "Caf&amp;eacute; <b>cup</b>",
        "text": "<p>Wasser&shy;kocher</p>\n<p>leicht</p>",
        "brand": "Black &amp; White",
        "category": "Home &amp; Garden &gt; Tools > <i>Saws</i>",
        "attr_size": ["5 &lt; 10", "<b>big</b>", "&nbsp;"],
        "attr_R&amp;D": "yes",
    }
    plain = {"id": "b", "title": "R&D 5 < 10", "text": "I <3 it", "attr_x": "a<b"}

    import_catalogue(
        write_jsonl(tmp_path / "p.jsonl", [row, plain, {"id": "c", "title": "<p></p>"}]), MAPPING, workspace
    )

    marked, untouched = workspace.items().collect().rows(named=True)
    assert (marked["item_id"], marked["title"]) == ("a&amp;b", "Caf\u00e9 cup")
    assert (marked["description"], marked["brand"]) == ("Wasserkocher leicht", "Black & White")
    assert marked["category"] == ["Home & Garden", "Tools", "Saws"]
    assert [tuple(attribute.values()) for attribute in marked["attributes"]] == [
        ("size", "5 < 10"),
        ("size", "big"),
        ("R&D", "yes"),
    ]
    assert (untouched["title"], untouched["description"]) == ("R&D 5 < 10", "I <3 it")
    assert untouched["attributes"] == [{"name": "x", "value": "a<b"}]
