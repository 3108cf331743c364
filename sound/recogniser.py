"""Words out of sound: Moonshine tiny-en (MIT, inside the wheel of moonshine-voice) on plain onnxruntime.

Moonshine is an encoder over raw 16 kHz samples and a decoder that writes one token after the other, with a
cache of what it attended to. It needs no spectrogram and no padding to 30 s, so that its cost follows the
length of the sound: cheap enough to run again and again while somebody speaks.

Two bounds keep it sane. A decoder can fall into a loop ("the the the"): it may write only so many tokens
a second of sound, and what it repeats when it is stopped there counts once. (Whether anybody speaks at all
is decided before, by whoever asks.) Its attention grows with the length: sound longer than
`LONGEST_PIECE_MS` is cut at its quietest moments and the pieces are recognised one by one. Where the cuts
fall depends only on what came before them, so a growing utterance is cut in the same places each time and the
pieces that are complete come from a cache.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from sound.models import open_model, wheel_file

__all__ = ["LANGUAGES", "LONGEST_PIECE_MS", "SAMPLE_RATE_HZ", "Recogniser", "decode", "most_tokens", "pieces"]

LANGUAGES = frozenset({"en"})
"""Codes of those that it understands."""

SAMPLE_RATE_HZ = 16_000
"""What Moonshine hears; `sound.vad` resamples to the same rate."""

LONGEST_PIECE_MS = 12_000
"""Moonshine is made for segments of up to 30 s. Measured on 44 s of one person reading: 2.5 % wrong words in
pieces of up to 20 s, 3.4 % with 12 and 15, 5.9 % with 8 and 10; a piece takes about 35 ms a second of it."""

_SHORTEST_MS = 100
"""Below this the encoder's convolutions have nothing to chew on, and nobody has said a word."""

_TOKENS_PER_S = 6.5
"""Moonshine's own bound (its model card, `token_limit_factor`)."""
_TOKENS_SPARE = 4
"""A very short, very fast answer may exceed the rate by a few tokens."""

_LOOP_TOKENS = 6
"""So many at the end that only repeat what stands before them are a loop: three words, three times."""

_QUIET_MS = 160
"""The length of the quietest moment that is looked for: a breath between two words."""

_HEADS, _HEAD_SIZE = 8, 36
"""Of tiny-en's decoder."""
_START_TOKEN, _END_TOKEN = 1, 2

_Samples = npt.NDArray[np.int16]


class Recogniser:
    """Turns speech into text. Blocking; safe to call from several threads at once."""

    def __init__(self, *, remembers: int = 32) -> None:
        """Loads nothing yet: see `warm`.

        Args:
            remembers: how many pieces of sound are kept with their words, for utterances that grow.
        """
        self._recognise = functools.lru_cache(maxsize=remembers)(self._decode)

    def warm(self) -> None:
        """Loads the model and runs it once, so that the first words are not late. About half a second."""
        self._decode(bytes(SAMPLE_RATE_HZ))

    def transcribe(self, pcm: bytes) -> str:
        """What is said in `pcm` (PCM16 mono **16 kHz**, any length), with punctuation; "" for nothing.

        Raises:
            ModelMissing: the model is not installed.
        """
        texts = [self._recognise(piece) for piece in pieces(pcm)]
        return " ".join(text for text in texts if text)

    def _decode(self, pcm: bytes) -> str:
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        if len(samples) < SAMPLE_RATE_HZ * _SHORTEST_MS // 1000:
            return ""
        encoder, decoder, vocabulary = _model()
        sound = samples[np.newaxis]
        mask = np.ones(sound.shape, np.int64)  # in samples for both: the decoder's graph thins it out itself
        (seen,) = encoder.run(None, {"input_values": sound, "attention_mask": mask})
        tokens = decode(decoder, seen, mask, most_tokens(len(samples)))
        return _text([vocabulary[token] for token in tokens])


def most_tokens(samples: int) -> int:
    """How many tokens may be written for so much sound. People need about half of them (measured)."""
    return math.ceil(samples / SAMPLE_RATE_HZ * _TOKENS_PER_S) + _TOKENS_SPARE


def pieces(pcm: bytes) -> list[bytes]:
    """Cuts long sound at its quietest moments; gives pieces of at most `LONGEST_PIECE_MS`.

    Each cut lies in the second half of the longest piece that would be allowed, so that no piece but the
    last is shorter than half of it.
    """
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], np.int16)
    longest = LONGEST_PIECE_MS * SAMPLE_RATE_HZ // 1000
    cut: list[bytes] = []
    while len(samples) > longest:
        at = longest // 2 + _quietest(samples[longest // 2 : longest])
        cut.append(samples[:at].tobytes())
        samples = samples[at:]
    return [*cut, samples.tobytes()]


def _quietest(samples: _Samples) -> int:
    """The sample in the middle of the quietest `_QUIET_MS`."""
    width = _QUIET_MS * SAMPLE_RATE_HZ // 1000
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    return int(np.argmin(energy[width:] - energy[:-width])) + width // 2


def decode(decoder: Any, seen: npt.NDArray[np.float32], mask: npt.NDArray[np.int64], most: int) -> list[int]:
    """Greedy decoding: the likeliest token each time, until the end token or `most` of them.

    A decoder that has to be stopped is in a loop. What people repeat ("no, no, no") comes to an end.
    """
    outputs = [output.name for output in decoder.get_outputs()]
    # What the decoder attends to in the sound is computed in the first step and stays as it is.
    growing = [name for name in outputs if "encoder" not in name]
    nothing = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
    cache = {_cached(name): nothing for name in outputs if name != "logits"}
    token, tokens = _START_TOKEN, list[int]()
    while len(tokens) < most:
        wanted = growing if tokens else outputs
        logits, *present = decoder.run(
            wanted,
            {
                "input_ids": np.array([[token]], np.int64),
                "encoder_hidden_states": seen,
                "encoder_attention_mask": mask,
                "use_cache_branch": np.array([bool(tokens)]),
                **cache,
            },
        )
        token = int(np.argmax(logits[0, -1]))
        if token == _END_TOKEN:
            break
        cache.update(zip(map(_cached, wanted[1:]), present, strict=True))
        tokens.append(token)
    else:
        return _without_loop(tokens)
    return tokens


def _without_loop(tokens: list[int]) -> list[int]:
    """Leaves in once what is repeated at the end."""
    for period in range(1, len(tokens) // 3 + 1):
        repeated = 0
        while repeated + period < len(tokens) and tokens[-1 - repeated] == tokens[-1 - repeated - period]:
            repeated += 1
        if repeated >= max(2 * period, _LOOP_TOKENS):
            return tokens[: len(tokens) - repeated]
    return tokens


def _cached(output: str) -> str:
    """The input that takes the value of an output in the next step."""
    return output.replace("present", "past_key_values")


def _text(parts: list[bytes]) -> str:
    """Joins the bytes of tokens; control tokens (`<s>`, `<unk>`, …) say nothing."""
    spoken = b"".join(part for part in parts if not (part.startswith(b"<") and part.endswith(b">")))
    return spoken.decode("utf-8", "replace").replace("\u2581", " ").strip()


_loading = threading.Lock()


def _model() -> tuple[Any, Any, list[bytes]]:
    with _loading:  # two threads that come first together would otherwise load it twice
        return _load()


@functools.cache
def _load() -> tuple[Any, Any, list[bytes]]:
    encoder, decoder, tokenizer = (
        wheel_file("moonshine_voice", f"assets/tiny-en/{name}")
        for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
    )
    return open_model(encoder), open_model(decoder), _vocabulary(tokenizer.read_bytes())


def _vocabulary(data: bytes) -> list[bytes]:
    """The tokens in order. Each is preceded by its length: a byte, or two (low seven bits first)."""
    tokens: list[bytes] = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            length = length - 128 + data[at] * 128
            at += 1
        tokens.append(data[at : at + length])
        at += length
    return tokens
