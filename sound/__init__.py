"""Sound as numbers: its one form, rates and codecs, how loud it is, and who speaks in it.

Imported by the actors and by the playground; nothing in here imports anything else of this project.
"""
