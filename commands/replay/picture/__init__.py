"""The timeline of a call as a picture: both voices, what waited, holds, cuts, decisions and words."""

from commands.replay.picture.page import html_page
from commands.replay.picture.scene import scene_of
from commands.replay.picture.sheet import svg_sheet

__all__ = ["html_page", "scene_of", "svg_sheet"]
