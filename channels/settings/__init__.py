"""What a person can set: the settings that actors are given, and how they are read."""

from channels.settings.reading import (
    ACCOUNT_SETTINGS,
    read_environment,
    read_livekit_settings,
    read_settings,
)
from channels.settings.room import (
    DEFAULT_ROOM_NAME,
    DEFAULT_VOICE_AGENT_URL,
    ApiSettings,
    HoldSettings,
    LiveKitSettings,
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

__all__ = [
    "ACCOUNT_SETTINGS",
    "DEFAULT_ROOM_NAME",
    "DEFAULT_VOICE_AGENT_URL",
    "ApiSettings",
    "AudioFormat",
    "HoldSettings",
    "InputConfig",
    "LiveKitSettings",
    "OutputConfig",
    "SessionConfig",
    "Settings",
    "SpeakerSettings",
    "ToolSettings",
    "TurnDetection",
    "Webhook",
    "read_environment",
    "read_livekit_settings",
    "read_settings",
]
