"""Everything that works on sound itself: the PCM format, rates and codecs, loudness, and voice detection.

Imported by the actors and by the playground; nothing in here imports anything else of this project.
"""
