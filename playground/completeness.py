"""Whether words that were followed by silence are a finished sentence, or somebody is looking for a word.

The recogniser puts a full stop or a question mark behind almost anything, so punctuation decides only
where it says "more to come" (a comma, a dash, dots). Otherwise the last word decides: nobody ends on
"the", "because" or "um", and few on "of" or "is" unless it is a question. The first words tell, too: behind
"When I came home", more is to come. A wrong "unfinished" costs a second of waiting, a wrong "finished" cuts
somebody off, so a word that seldom ends a sentence waits.
"""

from __future__ import annotations

import enum
import re

__all__ = ["Ending", "ending"]

_NEVER_LAST = re.compile(
    r"""\b(?:
    um+ | uh+m* | er+m* | ehm | hm+ | mm+                                                   # fillers
    | and | or | but | nor | because | since | although | though | while | unless | until   # conjunctions
    | whether | if | than | so\ that | such\ as | in\ order\ to
    | an? | the | my | your | our | their | every | its                                     # determiners
    | \w+'(?:m|re|ve|ll) | (?:he|she|it|that|there|what|who|let)'s | gonna | wanna
    )$""",
    re.VERBOSE,
)
_SELDOM_LAST = re.compile(
    r"""\b(?:
    of | at | from | with | into | onto | between | during | without | against | towards    # prepositions
    | via | per | (?:like|want|need|going|have|try|trying|how)\ to
    | is | are | am | was | were | be | been | very | really | quite | actually | maybe | perhaps
    | ^please | (?:can|could|would|will)\ (?:you|we|i)\ please | (?:and|but|so|then)\ please
    | you\ know | (?:kind|sort)\ of | i\ (?:think|mean|guess|need|want|would\ like|was\ wondering)
    )$""",
    re.VERBOSE,
)
"""They can end a question ("Where are you from?", "Really?"). Behind a whole request, "please" is its end
("One more, please.")."""
_OPENING = re.compile(
    r"""(?:(?:and|but|so|well|yes|no|okay)\ )?(?:
    (?!.*\ (?:can|know|like|want|mind|possible|so|you)$)
    (?: (?:if | although | though | while | whenever
           | when(?!(?:\ exactly|\ else)?\ (?:do|does|did|is|are|am|was|were|will|can|could|should|would
                                             |has|have|had|may|might|must|shall)\b))\ \w+\ \w+\ \w+
      | (?:unless | even\ (?:if|though) | as\ (?:soon|long|far)\ as)\ \w+\ \w+
      )
    | (?: once(?!\ (?:a|every|in|upon|more|again)\b)
        | (?:before | after)(?!\ (?:\d|\w+day\b|that\b|half\b))
        | until(?=\ (?:i|you|he|she|it|we|they)\b)
        | instead\ of
      )\ \w+\ \w+\ \w+
    )""",
    re.VERBOSE,
)
"""Of a clause that another must follow. "After lunch.", "If you like." and "When I can." can be answers."""
_LONGEST_OPENING = 7
"""Words. What is longer has its second clause, and the recogniser wrote no comma between the two."""
_MORE_TO_COME = (",", "-", "\u2013", "\u2014", "\u2026", "...", ":", ";")


class Ending(enum.Enum):
    """How words ended."""

    SENTENCE = enum.auto()
    """They can be the whole of what somebody wanted to say. Nothing at all (a cough) can."""
    CLAUSES = enum.auto()
    """Their punctuation says that more is to come; but it said so before, and the recogniser hears commas at
    ends as well: "In the morning, I take the bus,"."""
    CLAUSE = enum.auto()
    """Their punctuation says that more is to come, or their beginning: "When I came home."."""
    WORD = enum.auto()
    """The last of them says so."""


def ending(text: str) -> Ending:
    """How `text` ended."""
    text = text.strip().lower().replace("\u2019", "'")
    words = " ".join(re.findall(r"[a-z0-9']+", text))
    if _NEVER_LAST.search(words) or (not text.endswith("?") and _SELDOM_LAST.search(words)):
        return Ending.WORD
    several = "," in text.rstrip(" ,;:.-\u2013\u2014\u2026")
    if text.endswith(_MORE_TO_COME):
        return Ending.CLAUSES if several else Ending.CLAUSE
    alone = not several and not text.endswith("?") and len(words.split()) <= _LONGEST_OPENING
    return Ending.CLAUSE if alone and _OPENING.match(words) else Ending.SENTENCE
