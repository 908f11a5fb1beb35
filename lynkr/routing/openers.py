"""What the first words of a message, or all of a short one, say about it, as data: folded, in UTF-8."""

from typing import Final

from lynkr.routing import languages


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode().split())


_TALK: Final = frozenset(word.encode() for word in languages.SMALL_TALK)

# A verb gives an order at the start of a sentence or after one of these.
BEFORE_ORDERS: Final = _words(
    """please to and then also you we i ll let lets us me now just help must should can could will
    would or but first next finally again so go it s kindly lastly ultrathink not don t try with by
    for from principles through this step"""
)

# --- follow-ups: what a message says when it says only this

ACKNOWLEDGEMENTS: Final = _TALK | _words(
    """ok okay k kk yes yep yeah yup ya sure no nope nah thanks thank thx ty cheers you your u cool
    great nice awesome perfect good got it makes sense sounds fine right alright please go ahead do
    that this continue proceed carry on keep going next lgtm looks works work job well done hi hello
    hey howdy yo there morning afternoon evening night day bye goodbye worries problem skip all a
    lot so much very to me for the help again now then just is are how m i am be with wow correct
    exactly agreed indeed welcome excellent brilliant understood noted try retry
    resume finish what time date it"""
)
GREETINGS: Final = _TALK | _words(
    "thanks thank thx ty cheers hi hello hey howdy yo morning evening night bye goodbye welcome time date"
)
GO_ON: Final = _words(
    "continue proceed go ahead yes yep yeah yup ya sure do carry keep next again try retry resume finish"
)
ANAPHORA: Final = _words("it that those them same again also instead too other others")
CONFIRMS: Final = _words(
    """yes yep yeah yup no nope nah ok okay k sure stop wait never cheers thanks thank thx lol great
    nice cool perfect sounds fine right correct exactly agreed ja nein oui non sí si да нет sim"""
)
"""A short message that opens so answers a question or closes a matter."""

# --- questions

PREAMBLE: Final = _words("please hi hey hello ok okay so well now also and \x01")
QUESTION_OPENERS: Final = _words(
    "what who when where which whose is are was were does did define name list whats"
)
EXPLAIN_OPENERS: Final = QUESTION_OPENERS | _words("explain describe how why can could tell summarize")
DEICTICS: Final = _words("our my this these here we us following attached below above")
LOOKUP_OPENERS: Final = frozenset(word.encode() for word in languages.LOOKUP_OPENERS) | _words(
    "what whats who when where which whose whom is are was were does did has capital define"
)
"""They open a question for one fact."""
PREPOSITIONS: Final = _words("in on at from to of for by since until with under im am en em au")
"""Ahead of a question's opener: "in which year", "from when"."""
AMOUNTS: Final = _words("many much old far long tall deep high big often spät viel viele alt")
"""After "how", they ask for a number."""
TRIVIAL_ORDERS: Final = _words("translate convert spell capitalize pronounce")
TRIVIAL_OBJECTS: Final = _words("synonym antonym plural tense abbreviation acronym spell")
"""In a few words, they want a look into a book."""
