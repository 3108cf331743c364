"""Tools: a module's functions, declared; the calls of the service's model, decided, run and answered."""

from actors.tools.actor import ToolRunner
from actors.tools.module import load_tools

__all__ = ["ToolRunner", "load_tools"]
