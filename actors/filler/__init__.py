"""Our own quiet sound while somebody waits, since the service never says anything then: `Filler` while a slow
tool runs, `Waiting` while there is no session.
"""

from actors.filler.actor import Filler
from actors.filler.sound import load_filler, tone
from actors.filler.waiting import Waiting

__all__ = ["Filler", "Waiting", "load_filler", "tone"]
