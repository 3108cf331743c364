"""The pieces in which sound comes out of the room, gathered into frames for the service. No I/O, no clock."""

from __future__ import annotations

from attrs import define, field

from channels.messages import MicrophoneFrame
from sound.pcm import bytes_of_ms

__all__ = ["Gathering"]


@define
class Gathering:
    """Pieces of a frame, until it is whole.

    Args:
        frame_ms: the length of a frame.
    """

    frame_ms: int
    _pieces: list[MicrophoneFrame] = field(factory=list, init=False)
    _length: int = field(default=0, init=False)
    _judged: bool = field(default=True, init=False)

    def take(self, piece: MicrophoneFrame, *, judged: bool) -> MicrophoneFrame | None:
        """Takes the next piece; gives the frame once it is whole.

        Args:
            piece: of the frame.
            judged: whether the onset detector was given it.
        """
        self._pieces.append(piece)
        self._length += len(piece.pcm)
        self._judged = self._judged and judged
        if self._length < bytes_of_ms(self.frame_ms):
            return None
        pieces = tuple(self._pieces)
        pcm = b"".join(piece.pcm for piece in pieces) if len(pieces) > 1 else piece.pcm
        frame = MicrophoneFrame(pcm, at=piece.at, pieces=pieces if self._judged else ())
        self._pieces, self._length, self._judged = [], 0, True
        return frame
