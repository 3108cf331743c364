"""Record: everything that crosses the edges of a conversation, as JSON lines, and its sound if wanted."""

from actors.record.file import check_free
from actors.record.recorder import Recorder, RecordTap, recording

__all__ = ["RecordTap", "Recorder", "check_free", "recording"]
