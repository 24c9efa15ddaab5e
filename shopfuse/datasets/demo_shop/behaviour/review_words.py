# ruff: noqa: E501  (a row of a table is one line)
"""What buyers of the demo shop say: aspects with words of praise and of complaint, and the sentences that they go into.

Tables only. Words of praise occur in complaints and the other way round ("not as sturdy as I hoped"), so that a
list of good and bad words does not tell the two apart. They speak as people do, not as the glossary does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aspect:
    """Something that a review judges; `good` and `bad` are adjectives that stand after "is"."""

    names: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]


def _aspects(rows: str) -> tuple[Aspect, ...]:
    return tuple(Aspect(*(tuple(part.split(",")) for part in row.split("|"))) for row in rows.strip().splitlines())


ASPECTS = _aspects("""
quality,workmanship,build,finish|solid,excellent,better than expected,flawless,impressive,sturdy,first class|poor,sloppy,cheap,disappointing,flimsy,rough,uneven
material,{material},surface,feel of the {material}|lovely,soft,pleasant,robust,high grade,beautiful to touch,thick|thin,scratchy,plasticky,stiff,smelly,brittle,unpleasant
size,fit,shape,cut|perfect,just right,true to the description,generous,spot on,ideal|off,too tight,smaller than stated,awkward,nothing like the table says,far too big
look,colour,design,style|gorgeous,elegant,exactly as in the picture,stylish,beautiful,timeless|dull,nothing like the picture,ugly,faded,garish,dated
delivery,shipping,packaging|fast,prompt,careful,a day early,without a scratch|late,slow,careless,a mess,three weeks late,damaged
price,value,value for money|fair,great,unbeatable,more than fair,a bargain|too high,a joke,steep,out of proportion,hard to justify
customer service,support,hotline|helpful,friendly,quick,generous,patient|rude,useless,unreachable,slow to answer,stubborn
handling,comfort,everyday use|easy,comfortable,a joy,intuitive,effortless,handy|clumsy,tiring,fiddly,uncomfortable,a nuisance,complicated
durability,{feature} part,life span|outstanding,as promised,still like new after months,reliable,convincing|short,a letdown,over after two weeks,doubtful,not what was promised
manual,assembly,set-up|clear,simple,quick,child's play,done in minutes|confusing,missing,a nightmare,incomplete,full of mistakes
""")

# {name} an aspect, {word} its judgement, {other} the opposite one. Said straight of good and bad alike, or turned round.
STRAIGHT = (
    "the {name} is {word}", "{name}: {word}", "I find the {name} {word}", "the {name} turned out {word}", "{word} {name}",
    "the {name} is {word} so far", "what struck me is the {name}: {word}", "the {name} seems {word}", "{word} {name}, I must say",
)  # fmt: skip
PRAISE = (
    "I feared the {name} would be {other}, but it is {word}", "I cannot say that the {name} is {other}", "no complaints about the {name}",
    "others call the {name} {other}, I do not see it", "the {name} is anything but {other}", "really {word} {name}", "what I like is the {name}",
)  # fmt: skip
COMPLAINT = (
    "I hoped the {name} would be {other}, it is {word}", "I would not call the {name} {other}", "the {name} disappoints",
    "they promise that the {name} is {other}, I do not see it", "the {name} is not {other}", "{word} {name}, sadly", "if only the {name} were {other}",
)  # fmt: skip
OVERALL_GOOD = (
    "I would buy it again", "Love it", "Five stars from me", "Could not be happier", "Recommended", "My new favourite {noun}", "No regrets",
    "Never had a better {noun}", "Cannot complain", "It does everything that I wanted", "Worth every cent", "My friends want one too", "I hesitated for weeks, for no reason",
    "Not what I expected: far better", "What a good {noun}", "I have used it daily since and do not want to miss it",
)  # fmt: skip
OVERALL_MIXED = (
    "It is okay", "Does the job, no more", "Average", "Neither good nor bad", "You get what you pay for", "A {noun} like any other", "Not the best, not the worst",
    "Fine for now", "I have mixed feelings", "I expected a bit more", "Good enough for {use}", "Might keep it, might not", "Half happy", "Acceptable with some weak points",
)  # fmt: skip
OVERALL_BAD = (
    "It goes back", "I would not buy it again", "Waste of money", "Never again", "Do not be fooled by the pictures", "I regret this {noun}", "Two thumbs down",
    "Hard to recommend", "I wish I had read the reviews", "My old {noun} was better", "Did not survive the first week", "I expected a good {noun}, I got this", "Save your money",
    "Great, another thing for the bin", "Thanks for nothing", "The only good thing was the refund",
)  # fmt: skip
FACTS = (
    "Bought it for {use}", "It was a gift for my sister", "My second {noun} from {brand}", "Ordered on a Monday", "I compared three of them first", "Took it along on holiday",
    "We use it every weekend", "Mine is the {feature} one", "I had a different {noun} before", "Came in a plain box", "Paid full price", "My husband chose it",
)  # fmt: skip
TURNS = (", but ", "; then again, ", ". On the other hand, ", ", although ", ". However, ", ", only ")
JOINTS = (". ", ", and ", ". Also, ", ". ", "; ")
