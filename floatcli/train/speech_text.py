"""Things to say: sentences from a small grammar of our own, numbers, exclamations and made-up words."""

from __future__ import annotations

import numpy as np

from floatcli.train import speech_words as vocabulary

SUBJECTS = (
    "my neighbour", "the young doctor", "a brown puppy", "everybody", "the fisherman", "our teacher",
    "nobody", "the beautiful queen", "a pair of old boots", "Barbara", "the weather",
    "your favourite uncle", "this machine", "the mayor of Bristol", "half of the village",
    "a small blue van", "Joshua", "the last chapter", "her voice", "the Egyptian museum",
    "a thousand people", "the yellow umbrella", "Matthew", "his best friend Paul", "we",
    "the shop behind the church", "every bird", "that awful noise", "the judge", "an empty bottle", "they",
)  # fmt: skip
VERBS = (
    "measures", "would rather move", "forgot about", "is looking for", "bought", "has never thought of",
    "follows", "pushes", "watches over", "paid for", "wants to improve", "may remember", "laughs at",
    "always chooses", "should have warmed", "will probably open", "describes", "brushes", "gave away",
    "used to grow", "jumped over", "carefully unwraps", "hopes for", "washed", "doubts", "keeps moving",
    "could hear", "fixes", "avoids", "found",
)  # fmt: skip
OBJECTS = (
    "the purple mushrooms", "a box of chocolates", "fresh bread and butter", "the map on the wall",
    "five wooden spoons", "a very strange rumour", "the moon above the roof", "my mother's violin",
    "both of the photographs", "warm soup", "the thick fog", "an amazing view", "cheap shoes",
    "the whole orchestra", "some pure water", "the broken lamp", "a huge piece of cheese",
    "the bus to Cambridge", "every number up to five", "our future", "the river bank", "a rubber ball",
    "white feathers", "the job in Mumbai", "those bitter apples", "that movie", "a quiet garden",
)  # fmt: skip
ENDINGS = (
    "", "", "before breakfast", "in the middle of the road", "on a foggy morning", "without any help",
    "by mistake", "for the very first time", "because of the snow", "at the top of the hill",
    "until half past four", "with pleasure", "as far as I know", "while the band was playing",
    "under the bridge", "more often than before", "in February", "if nobody minds", "though it hurts",
    "near the beach house", "over and over again", "just above the waves",
)  # fmt: skip
FRAMES = (
    "{s} {v} {o} {e}.", "{s} {v} {o} {e}.", "Well, {s} {v} {o}.", "I believe {s} {v} {o} {e}.",
    "Did you know that {s} {v} {o}?", "When {s} comes home, {t} {v} {o}.",
    "{s} and {t}, who {v} {o}, left {e}.", "Maybe {o}, maybe not.",
    "Please put {o} away, and tell me about {s}.", "{s} {v} {o}, but {t} {w} it {e}.", "Do not move {o}.",
    "What if {s} {v} {o} {e}?", "Oh, {o}.", "Above all, {s} {v} me.",
)  # fmt: skip
OUTCRIES = (
    "Oh my!", "Wow, really?", "Stop it now!", "Ah!", "Please help me!", "How wonderful!", "No, no, no!",
    "What?", "I can't believe it!", "Yuck!", "Hooray!", "Go away!", "Oh dear.", "Watch out!", "Bah!",
    "Hmm.", "Ooh, look!",
)  # fmt: skip
_ONSETS = (
    "b", "p", "m", "f", "v", "w", "t", "d", "s", "z", "l", "n", "r", "k", "g", "h", "j", "sh", "ch", "br",
    "pl", "st", "fl", "qu", "sp", "",
)  # fmt: skip
_NUCLEI = ("a", "e", "i", "o", "u", "oo", "ee", "ai", "ou", "a", "o", "ow")
_CODAS = ("", "", "", "m", "n", "p", "b", "s", "f", "l", "r", "t", "v", "sh", "ng")
_PLAIN_ONSETS, _PLAIN_NUCLEI = ("b", "p", "m", "f", "v", "t", "d", "s", "l", "n", "r", "k", "g", "z"), "aeiou"


def _word(rng: np.random.Generator, english: bool) -> str:
    syllables = rng.integers(1, 4)
    if english:
        return "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(syllables))
    return "".join(rng.choice(_PLAIN_ONSETS) + rng.choice(list(_PLAIN_NUCLEI)) for _ in range(syllables + 1))


def made_up_sentence(rng: np.random.Generator, english: bool = True) -> str:
    """Words that mean nothing in any language, so that every phoneme meets every other."""
    words = [_word(rng, english) for _ in range(rng.integers(3, 9))]
    if len(words) > 5:
        words[len(words) // 2] += ","
    return " ".join(words) + str(rng.choice([".", ".", "?", "!"]))


def sentence(rng: np.random.Generator) -> str:
    """One English sentence from the grammar."""
    first, second = rng.choice(SUBJECTS, 2, replace=False)
    verb, other = rng.choice(VERBS, 2, replace=False)
    frame = str(rng.choice(FRAMES))
    text = frame.format(s=first, t=second, v=verb, w=other, o=rng.choice(OBJECTS), e=rng.choice(ENDINGS))
    text = text.replace(" .", ".").replace(" ?", "?")
    return text[0].upper() + text[1:]


def _thing(rng: np.random.Generator) -> str:
    """A name, a pronoun or a noun with what goes before it."""
    kind = rng.random()
    if kind < 0.3:
        return str(rng.choice(vocabulary.NAMES if kind < 0.14 else vocabulary.PRONOUNS))
    parts = [rng.choice(vocabulary.DETERMINERS), rng.choice(vocabulary.NOUNS) + ("s" if rng.random() < 0.25 else "")]
    if rng.random() < 0.6:
        parts.insert(1, rng.choice(vocabulary.ADJECTIVES))
    return " ".join(parts)


def wide_sentence(rng: np.random.Generator) -> str:
    """Grammar without sense, of over a thousand common words in any company."""
    clauses = []
    for _ in range(1 + int(rng.random() < 0.4)):
        parts = [_thing(rng), rng.choice(vocabulary.VERBS), _thing(rng)]
        if rng.random() < 0.4:
            parts.insert(int(rng.integers(0, 4)), rng.choice(vocabulary.ADVERBS))
        for _ in range(rng.integers(0, 3)):
            parts += [rng.choice(vocabulary.PLACES), _thing(rng)]
        clauses.append(" ".join(parts))
    comma = "," if rng.random() < 0.5 else ""
    text = f"{comma} {rng.choice(vocabulary.LINKS)} ".join(clauses)
    if rng.random() < 0.3:
        text = f"{rng.choice(vocabulary.OPENINGS)} {text}"
    return text[0].upper() + text[1:] + str(rng.choice([".", ".", ".", "?"]))


def numbers(rng: np.random.Generator) -> str:
    """Digits, dates and sums, read out."""
    kind = rng.integers(3)
    if kind == 0:
        return ", ".join(str(n) for n in rng.integers(0, 100, rng.integers(3, 7))) + "."
    if kind == 1:
        return f"{rng.integers(1, 29)} times {rng.integers(2, 99)} makes {rng.integers(100, 5000)}."
    return f"Call {' '.join(str(n) for n in rng.integers(0, 10, 7))} before {rng.integers(1, 12)} o'clock."


def something_to_say(rng: np.random.Generator, english: bool, emotion: str = "neutral") -> str:
    """One sentence or outcry; other languages get made-up words that any spelling can read."""
    if not english:
        return made_up_sentence(rng, english=False)
    if emotion != "neutral" and rng.random() < 0.15:
        return str(rng.choice(OUTCRIES))
    kind = rng.random()
    makers = (wide_sentence, sentence, made_up_sentence, numbers)
    text = makers[int(np.searchsorted((0.55, 0.75, 0.92), kind))](rng)
    if emotion in ("happy", "angry", "surprise") and rng.random() < 0.5:
        text = text[:-1] + ("?" if emotion == "surprise" and rng.random() < 0.6 else "!")
    return text


#: Said in evaluation only; nothing of the grammar above.
HELD_OUT_SENTENCES = (
    "People who whistle in the morning rarely complain about bread.",
    "A foolish robin built its nest inside the drum of a washing machine.",
    "My grandfather's boat smelled of tar, apples and wet rope.",
    "Would you mind opening that window before the paint dries?",
    "Some problems vanish when everyone stops talking.",
    "Twelve musicians practised the waltz above a bakery.",
    "We borrowed a wheelbarrow and promised to return it on Monday.",
    "Poppy seeds, plums and maple syrup make a fine pudding.",
    "The lighthouse blinked twice, then the harbour went dark.",
    "How many bubbles fit into a bathtub?",
    "Few gloves survive a winter with five puppies.",
    "Imagine a mountain of marshmallows beside a lemonade pool!",
    "Her thumb hurt, but she kept on weaving.",
    "An owl would have noticed us; the rabbits never did.",
    "Tomorrow we shall prove that bees prefer blue flowers.",
    "Bob mumbled something about a broken pump.",
    "Fog moved over the valley as the ferry left.",
    "Beware of the mousetrap behind the wardrobe.",
)
