"""How a process ends: it finishes its output, then exits without tearing Python down.

Native threads (LiveKit's SDK, speech recognition, speech synthesis) call back into Python whenever they like.
During the interpreter's teardown such a thread is ended where it stands, inside Rust or C++ that cannot be
left that way: the process aborts (-6) or dies of a segmentation fault, after everything went well.

Every process ends with this, once: `end_with(main)`.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from sound.native_output import silence

__all__ = ["end_with"]

AT_EXIT_WITHIN_S = 2.0
"""Time for functions registered with `atexit`. LiveKit's SDK waits there for connections that are being made:
15 s
was seen after a Ctrl-C at that moment."""

FLUSHED_WITHIN_S = 1.0
"""Time for files that were not closed: a disk that hangs must not keep the process."""

_UNWRITTEN = 120
"""Python's own exit code for output that could not be written."""
_INTERRUPTED = 130


def end_with(main: Callable[[], int]) -> NoReturn:
    """Runs a program and ends the process with its exit code, as `sys.exit(main())` would.

    It waits for non-daemon threads, calls functions registered with `atexit` (they have 2 s) and flushes open
    files. A second Ctrl-C meanwhile ends it at once. It skips what Python does after that: destroying all
    objects.

    Args:
        main: the program. What it raises is printed, and the code is 1, or 130 after Ctrl-C; `SystemExit`
            means what it always does.
    """
    code = _code_of(main)
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The same, in the same order, as Python itself before it destroys anything.
    threading._shutdown()  # type: ignore[attr-defined]
    _keep_native_code_silent()
    impatience = threading.Timer(AT_EXIT_WITHIN_S, _leave, [code])
    impatience.daemon = True
    impatience.start()
    atexit._run_exitfuncs()
    impatience.cancel()
    _leave(code)


def _keep_native_code_silent() -> None:
    """LiveKit's SDK, when it is unloaded, writes of handles that it finds itself: past any log, on a screen
    where all has been said. `RUST_LOG` is how somebody asks for it. What Python says is still heard.
    """
    if sys.stderr is None or "RUST_LOG" in os.environ:
        return
    try:
        sys.stderr.flush()
        own = os.dup(sys.stderr.fileno())
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        sys.stderr = open(own, "w", encoding=encoding, errors="backslashreplace", buffering=1)  # noqa: SIM115
        silence()
    except (OSError, ValueError):  # it is closed, or no file
        return


def _leave(code: int) -> NoReturn:
    flushing = threading.Thread(target=_flush_forgotten_files, daemon=True)
    flushing.start()
    flushing.join(FLUSHED_WITHIN_S)
    os._exit(code & 0xFF if _flush_standard_streams() else _UNWRITTEN)


def _code_of(main: Callable[[], int]) -> int:
    try:
        return main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            return _INTERRUPTED
    return 1


def _flush_forgotten_files() -> None:
    standard = (sys.stdout, sys.stderr)
    for each in gc.get_objects():
        # By its type: a proxy object may do anything when asked what it is.
        if issubclass(type(each), (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
            with suppress(OSError, ValueError):  # it is closed, or its disk is full
                if each not in standard:
                    each.flush()


def _flush_standard_streams() -> bool:
    written = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BrokenPipeError:
            pass  # the reader has seen enough
        except (OSError, ValueError) as error:
            written = False
            with suppress(OSError, ValueError):
                print(f"not everything could be written ({error})", file=sys.stderr, flush=True)
    return written
