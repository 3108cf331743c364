"""Stories of three quarters of a minute and more: long enough to interrupt, and to go on with."""

from __future__ import annotations

import re
from types import MappingProxyType

import attrs

from playground.dialogue.turn import Answer, Turn, first_answer, when
from playground.dialogue.words import spoken_list, stem
from playground.sentences import sentences

__all__ = ["STORIES", "TOPIC"]

STORIES = MappingProxyType(
    {
        "the lamp on the island": """
            On a small island, a long way out, stood a lighthouse with a keeper called Marta. Every
            evening she climbed two hundred and twelve steps, lit the lamp, and wrote one line about the
            weather into a thick blue book. Nobody ever read that book, and she knew it. One winter night
            the lamp would not light. Marta tried new oil, a new wick, and then a few words that she did
            not write down. Out in the dark she heard the horn of a ship, much too near. So she took the
            blue book, tore out the pages, year by year, and burned them one after the other in the great
            iron bowl behind the glass. Sunny, with a light wind, went up in flames. Fog until noon made a
            tall yellow fire. The storm of the year when she had come lasted for nearly a minute. The ship
            turned, slowly, and its horn went away along the coast. In the morning a boat brought new
            parts, and a parcel from the captain. In it lay an empty book, bound in red, and on its first
            page stood a single line. Clear night, it said, and somebody was awake.
        """,
        "the clock that was late": """
            In the middle of a little town hung a clock that was always seven minutes late. Everybody knew
            it, and everybody did the sum in their head, so nobody ever missed a train. One spring a new
            mayor came, who liked things to be right, and she sent for a clockmaker. The clockmaker oiled
            the wheels, straightened the hands, and at noon exactly the bell rang twelve. By the evening
            the whole town was in trouble. The baker had taken his bread out of the oven seven minutes
            early, and it was pale. The school let out before the lesson was over. Two people who had met
            at the fountain every day for thirty years missed each other, and each went home believing
            that the other one had died. Late that night the mayor heard steps on the stairs of the tower.
            She found the baker there, and the teacher, and two old people with one lantern between them.
            Nobody said anything. The mayor looked at the hands for a while, and then she pushed them
            back, seven minutes, with one finger. The clock has been wrong ever since, and the bread is
            very good.
        """,
        "the robot and the rain": """
            There was once a robot that watered a garden. It had one order, which was to water the beans
            at six, and it was proud that it had never forgotten. One evening at six it was raining. The
            robot stood in the rain with its watering can and thought about its order, which did not say
            anything about rain. So it watered the beans. The snail under the rhubarb laughed at it, very
            slowly, until about half past six. On the next day it rained again, and the robot came with an
            umbrella. It held the umbrella over the beans with one arm, and watered them with the other,
            because in this way the order made sense again. The snail had to admit that this was logical.
            On the third day the sun came out, and the gardener with it. She saw the umbrella, the flooded
            beans, and the robot, who looked at her the way one looks at somebody who ought to explain
            something. She knelt down and changed the order. Water the beans when they are thirsty, it
            said now. The robot thought about it all night. In the morning it asked the snail how one can
            tell, and that was the beginning of a long friendship.
        """,
    }
)
"""By title. Written for this project."""


def _tell(turn: Turn, match: re.Match[str]) -> Answer:
    wanted = {stem(word) for word in (match["about"] or "").split()} - {"a", "an", "the", "of", "and", "it"}
    told = turn.memory.told
    fitting = [title for title in STORIES if wanted & {stem(word) for word in title.split()}]
    new = [title for title in STORIES if title not in told]
    title = (fitting or new or [next((one for one in told if one in STORIES), next(iter(STORIES)))])[0]
    # The story that was told last goes to the end, so that the oldest one comes round again.
    memory = attrs.evolve(turn.memory, told=(*(one for one in told if one != title), title))
    intro = f"This is {title}." if fitting or not wanted else f"I know none about that, but this is {title}."
    return Answer((intro, *sentences(" ".join(STORIES[title].split()))), memory, intro=1, reading=True)


def _which(turn: Turn, _: re.Match[str]) -> Answer:
    return Answer(f"I know three: {spoken_list(list(STORIES))}.")


TOPIC = first_answer(
    (
        when(r"\b(?:what|which|how many) stories\b", then=_which),
        when(r"\b(?:story|stories|tale|fairy tale)\b(?: about (?P<about>.+))?", then=_tell),
        when(r"^(?:read|tell) me something(?P<about>)\b", r"^(?:say|tell) something$", then=_tell),
    )
)
