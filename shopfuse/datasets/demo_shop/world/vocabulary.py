# ruff: noqa: E501  (a row of a table is one line)
"""What the demo shop's words mean: materials, features and uses, each as the shop writes it and as shoppers ask for it.

`queried_as` holds what titles and descriptions seldom say, so that a match needs meaning and not spelling. Tables only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One attribute value. `written` goes into titles, `told` into descriptions, `queried_as` into queries."""

    value: str
    written: tuple[str, ...]
    told: tuple[str, ...]
    queried_as: tuple[str, ...]
    theme: tuple[float, float] = (
        0.0,
        0.0,
    )  # materials only: natural (-1) .. technical (+1), humble (-1) .. refined (+1)


def _terms(rows: str) -> dict[str, Term]:
    terms = {}
    for row in rows.strip().splitlines():
        value, written, told, queried_as, *theme = row.split("|")
        point = (float(theme[0]), float(theme[1])) if theme else (0.0, 0.0)
        terms[value] = Term(
            value, tuple(written.split(";")), tuple(told.split(";")), tuple(queried_as.split(";")), point
        )
    return terms


MATERIALS = _terms("""
leather|leather;full-grain leather|cut from full-grain hide;leather that ages well|leather;real hide;cowhide|-0.4|0.7
canvas|canvas;waxed canvas|made of heavy canvas;tough woven canvas|canvas;sailcloth|-0.5|-0.6
suede|suede;brushed suede|soft suede with a short nap;suede that feels warm|suede;soft nap leather|-0.3|0.4
recycled polyester|recycled polyester;polyester|spun from recycled bottles;a durable polyester weave|eco friendly synthetic;recycled;polyester|0.7|-0.7
rubber|rubber;natural rubber|moulded from natural rubber;grippy rubber all over|rubber;rubbery|0.4|-0.8
nylon|nylon;ripstop nylon|a light ripstop nylon;nylon that shrugs off thorns|nylon;ripstop;parachute fabric|0.8|-0.4
cork|cork;pressed cork|pressed cork from Portugal;warm cork underfoot|cork;tree bark|-0.9|-0.3
velvet|velvet;plush velvet|upholstered in deep velvet;velvet with a gentle sheen|velvet;plush;velvety|-0.1|0.9
cotton|cotton;organic cotton|woven from long-staple cotton;organic cotton, washed soft|cotton;natural fabric|-0.8|-0.4
silk|silk;mulberry silk|pure mulberry silk;silk that falls beautifully|silk;silky;satin|-0.4|1.0
linen|linen;washed linen|stonewashed linen;linen made from flax|linen;flax|-0.9|0.3
viscose|viscose;soft viscose|a fluid viscose;drapey viscose|viscose;rayon|0.2|0.0
wool|wool;merino wool|knitted from merino;pure new wool|wool;woollen;merino|-0.7|0.4
cashmere|cashmere;cashmere blend|the softest cashmere;goat hair combed by hand|cashmere;goat wool;luxury knit|-0.6|1.0
down|down;goose down|filled with goose down;lofty down chambers|down filled;feather filled|-0.2|0.5
denim|denim;raw denim|sturdy raw denim;indigo-dyed twill|denim;jean fabric|-0.4|-0.3
hemp|hemp;hemp blend|woven from hemp;hemp that needs little water|hemp;plant based fabric|-1.0|-0.5
steel|stainless steel;brushed steel|brushed stainless steel;steel that does not rust|stainless steel;metal;inox|0.6|0.2
titanium|titanium;grade 5 titanium|machined from titanium;titanium, strong and weightless|titanium;aerospace metal|1.0|0.7
ceramic|ceramic;stoneware|hand-glazed stoneware;fired ceramic|ceramic;pottery;earthenware|-0.6|0.4
felt|felt;wool felt|pressed wool felt;thick felt|felt;felted|-0.8|-0.1
rattan|rattan;woven rattan|hand-woven rattan;airy wickerwork|rattan;wicker;cane|-1.0|-0.1
oak|oak;solid oak|solid European oak;oiled oak with visible grain|oak;hardwood;solid wood|-0.8|0.5
walnut|walnut;American walnut|dark American walnut;walnut with a fine grain|walnut;dark wood|-0.7|0.9
pine|pine;knotty pine|knotty Nordic pine;pine left untreated|pine;light wood;softwood|-0.9|-0.6
marble|marble;Carrara marble|a slab of Carrara marble;polished stone|marble;stone|-0.4|1.0
bamboo|bamboo;pressed bamboo|fast-growing bamboo;bamboo in a honey tone|bamboo;sustainable wood|-0.9|-0.2
brass|brass;brushed brass|brushed brass details;brass that gains a patina|brass;gold metal|0.0|0.9
glass|glass;borosilicate glass|clear borosilicate;mouth-blown glass|glass;see through|0.1|0.4
jute|jute;braided jute|braided jute fibres;rough jute rope|jute;natural fibre;rope|-1.0|-0.6
cast iron|cast iron;enamelled cast iron|poured from cast iron;iron that holds its heat|cast iron;heavy iron|0.0|-0.1
aluminium|aluminium;anodised aluminium|milled from aluminium;a light anodised alloy|aluminum;alloy;light metal|0.8|0.1
copper|copper;hammered copper|hammered copper;copper that conducts heat|copper;reddish metal|-0.1|0.8
plastic|BPA-free plastic;tritan|impact-proof tritan;BPA-free plastic|plastic;unbreakable|0.7|-0.9
fleece|fleece;polar fleece|lined with polar fleece;cosy fleece|fleece;fluffy|0.2|-0.6
carbon|carbon fibre;carbon|laid up in carbon fibre;a stiff carbon shell|carbon fiber;carbon|1.0|0.6
silicone|silicone;soft silicone|soft-touch silicone;skin-friendly silicone|silicone;soft rubber|0.8|-0.5
""")

FEATURES = _terms("""
breathable|breathable;mesh-lined|lets air through;mesh panels keep you cool|airy;does not get sweaty;ventilated
lightweight|lightweight;featherlight|weighs next to nothing;easy to carry all day|light;easy to carry;not heavy
padded|padded;cushioned|soft padding where it counts;generous foam|comfy;soft;comfortable
non-slip|non-slip;grip|stays put on wet floors;a sure grip|anti slip;does not slide;grippy
waterproof|waterproof;weatherproof|sealed seams keep the rain out;shrugs off a downpour|rainproof;water resistant;for heavy rain
insulated|insulated;thermal|keeps the warmth in;holds its temperature for hours|warm;keeps heat;thermal
adjustable|adjustable;height-adjustable|sets to your height in seconds;adapts to you|fits any size;can be adjusted;flexible height
quick-drying|quick-drying;fast-dry|dry again within the hour;wicks moisture away|dries fast;moisture wicking
wide-fit|wide-fit;comfort-fit|extra room at the front;a generous width|for wide feet;roomy
stretch|stretch;elastic|gives with every move;a touch of elastane|stretchy;elasticated
machine-washable|machine-washable;washable|comes clean in the washing machine;wash it at 40 degrees|easy to clean;can be washed
pockets|multi-pocket;zip-pocket|a place for phone and keys;zipped compartments inside|with pockets;lots of compartments
easy-iron|easy-iron;wrinkle-free|hangs smooth after the wash;hardly creases|no ironing;crease free
oversized|oversized;extra-large|cut large on purpose;bigger than it needs to be|big;huge;xl
reflective|reflective;high-visibility|lights up in headlights;seen from 200 metres|visible at night;hi vis
scratch-resistant|scratch-resistant;hardened|a surface that takes knocks;still like new after years|does not scratch;durable;tough
long-battery|long-life;40-hour|runs for days on one charge;forget the charger|good battery;lasts all week
uv-protective|UV-protective;UPF 50+|blocks harmful rays;made for full sun|sun protection;spf
stain-resistant|stain-resistant;easy-care|spills wipe right off;treated against red wine|spill proof;wipe clean
modular|modular;sectional|rearrange the parts as you like;grows with your home|can be extended;combine freely
extendable|extendable;pull-out|pulls out for six more people;doubles in length|expands;for many people
foldable|foldable;folding|folds flat after use;packs down small|collapsible;folds away;space saving
stackable|stackable;nesting|nests to save room;stacks neatly|stacking;can be stacked
quiet|quiet;whisper|you hardly hear it;runs below 40 decibels|silent;low noise;noiseless
dimmable|dimmable;warm-glow|from bright to candlelight;turn the mood down|dimming;mood;soft glow
smart|smart;app-controlled|works with your voice assistant;controlled from the phone|app controlled;wifi;alexa
rechargeable|rechargeable;USB-C|charges over USB;no batteries to buy|usb;without batteries
dishwasher-safe|dishwasher-safe;easy-clean|goes straight into the dishwasher;no scrubbing|for dishwasher;easy to wash up
non-stick|non-stick;coated|nothing sticks;eggs slide right off|does not stick;teflon
cordless|cordless;360-degree|lift it off its base;no cable on the table|without cable;no cord
compact|compact;mini|takes hardly any room;fits in a drawer|small;space saving;tiny
ergonomic|ergonomic;contoured|shaped to the hand;easy on the wrist|good for wrists;comfortable grip
leak-proof|leak-proof;sealed|tip it over, nothing happens;a lid that really closes|no spill;does not leak
noise-cancelling|noise-cancelling;ANC|silences engines and chatter;hear only your music|blocks out noise;quiet on planes
wireless|wireless;bluetooth|pairs in a second;no tangled cables|bluetooth;without wires;cable free
fast-charging|fast-charging;quick-charge|half full after 20 minutes;up to 65 watts|charges quickly;rapid charge
shock-absorbing|shock-absorbing;rugged|survives a two-metre drop;soaks up impacts|drop proof;protective;tough
""")

USES = _terms("""
running|running|steady company on every run;for your next 10 k|jogging;marathon training
everyday|everyday|made for daily life;an easy pick each morning|daily use;every day
gym|gym|ready for your workout;at home between the weights|working out;training;fitness
travel|travel|an old friend of airports;goes wherever you go|trips;holidays abroad;flights
hiking|hiking|for long days on the trail;at ease above the tree line|trekking;mountains;the trail
winter|winter|for the cold months;when snow falls|cold weather;snow;freezing days
work|work|stands up to a hard shift;for the building site|job site;labour
beach|beach|bring it to the seaside;sand does no harm|the seaside;pool;vacation
summer|summer|for hot afternoons;made for sunny days|hot weather;warm days
party|party|for nights that end late;made to be noticed|night out;celebration;going out
office|office|at home between meetings;looks right at the desk|business;working;meetings
wedding|wedding|for the big day;dressed for the ceremony|marriage;formal event;bridal
gift|gift|comes in a lovely box;a present that arrives well|present;birthday;someone special
commuting|commuting|for the daily way to town;made for trains and traffic|ride to work;subway;the way to work
school|school|ready for class;made for pupils|students;class;college
small flats|small flats|where every metre counts;at ease in tight rooms|tiny apartment;studio;little space
guests|guests|when friends stay over;for a full house|visitors;entertaining;friends over
pets|pets|cats approve;made with dogs in mind|cats;dogs;animal owners
home cinema|home cinema|for long film evenings;movie night starts here|watching tv;movie night;films
reading|reading|for an hour with a book;a page-turner's companion|books;book lovers
garden|garden|happy on the terrace;for the patio|outdoors;patio;balcony
kids room|kids room|made with children in mind;ready for playtime|children;toddlers;nursery
gaming|gaming|for long nights online;never misses a frame|gamers;video games;esports
cooking|cooking|for people who love to cook;at home on the stove|kitchen;chef;making dinner
baking|baking|for bread and cakes;from stove to oven|cakes;oven;bakers
camping|camping|for nights under the stars;made for the campsite|campsite;scouts;sleeping outdoors
festival|festival|three days of music, no worry;for the front row|concert;open air
yoga|yoga|for your morning flow;at ease in every pose|pilates;stretching;meditation
cycling|cycling|kilometre after kilometre in the saddle;for riders|riding;road cyclist
""")

# Names of brands: an onset and an ending; 30 x 16 combinations.
_BRAND_ONSETS = """
Nor Vel Kas Al Bran Mira Tor Lu Fen Oslo Hal Rok Sol Vin Cald Del Ember Fjel Gran Hav Iver Jun Kor Lund Mont Nova Opal
Pel Quil Strand
"""
_BRAND_ENDINGS = "dal vik ora en ton ley mark by stead ino ette holm wick ana forth elle"
BRAND_NAMES = tuple(onset + ending for onset in _BRAND_ONSETS.split() for ending in _BRAND_ENDINGS.split())

_MODEL_NAMES = """
Aster Birch Cove Drift Elm Flint Grove Haven Isle Juno Kestrel Lark Meadow North Orbit Pace Quest Ridge Sage Tide Umbra
Vale Willow Zephyr Arc Bolt Clover Dune Echo Forge Glide Harbor Iris Jade Knot Loft Mesa Nimbus Onyx Prism
"""
MODEL_NAMES = tuple(_MODEL_NAMES.split())
