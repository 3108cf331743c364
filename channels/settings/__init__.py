"""What a person can set: the settings that actors are given, and how they are read."""

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
    DEFAULT_VOICE_AGENT_URL,
    ApiSettings,
    BargeInSettings,
    CallSettings,
    FillerSound,
    FrontEndSettings,
    LevelSettings,
    LiveKitSettings,
    LogSettings,
    Settings,
    SpeakerSettings,
    ToolSettings,
)
from channels.settings.session import (
    AudioFormat,
    InputConfig,
    OutputConfig,
    SessionConfig,
    TurnDetection,
    Webhook,
)
from channels.settings.sources import from_flags

__all__ = [
    "ACCOUNT",
    "DEFAULT_ROOM_NAME",
    "DEFAULT_VOICE_AGENT_URL",
    "LIVEKIT_ACCOUNT",
    "ApiSettings",
    "AudioFormat",
    "BargeInSettings",
    "CallSettings",
    "Configuration",
    "FillerSound",
    "FrontEndSettings",
    "InputConfig",
    "LevelSettings",
    "ListenMode",
    "ListenSettings",
    "LiveKitSettings",
    "LogSettings",
    "OutputConfig",
    "SessionConfig",
    "Settings",
    "SpeakerSettings",
    "ToolSettings",
    "TurnDetection",
    "TypingSettings",
    "Webhook",
    "Writings",
    "from_flags",
    "gather",
    "read_configuration",
]
