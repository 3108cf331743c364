"""What a person can set: the settings that actors are given, and how they are read."""

from channels.settings.accounts import (
    DEFAULT_VOICE_AGENT_URL,
    Accounts,
    ApiAccount,
    LiveKitAccount,
    Webhook,
)
from channels.settings.configuration import (
    ACCOUNT,
    LIVEKIT_ACCOUNT,
    Configuration,
    Writings,
    gather,
    read_configuration,
)
from channels.settings.listening import ListenMode, ListenSettings, TypingSettings
from channels.settings.room import (
    DEFAULT_ROOM_NAME,
    ApiSettings,
    BargeInSettings,
    CallSettings,
    FillerSound,
    FrontEndSettings,
    LevelSettings,
    LogSettings,
    Settings,
    SpeakerSettings,
    ToolSettings,
)
from channels.settings.session import (
    FormatSettings,
    InputSettings,
    OutputSettings,
    SessionSettings,
    TurnSettings,
)
from channels.settings.sources import from_flags
from channels.settings.worker import WorkerSettings

__all__ = [
    "ACCOUNT",
    "DEFAULT_ROOM_NAME",
    "DEFAULT_VOICE_AGENT_URL",
    "LIVEKIT_ACCOUNT",
    "Accounts",
    "ApiAccount",
    "ApiSettings",
    "BargeInSettings",
    "CallSettings",
    "Configuration",
    "FillerSound",
    "FormatSettings",
    "FrontEndSettings",
    "InputSettings",
    "LevelSettings",
    "ListenMode",
    "ListenSettings",
    "LiveKitAccount",
    "LogSettings",
    "OutputSettings",
    "SessionSettings",
    "Settings",
    "SpeakerSettings",
    "ToolSettings",
    "TurnSettings",
    "TypingSettings",
    "Webhook",
    "WorkerSettings",
    "Writings",
    "from_flags",
    "gather",
    "read_configuration",
]
