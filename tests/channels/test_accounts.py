"""Whoever chooses the settings of a room chooses no address of a server, and no key to one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import attrs

from channels.secret import Secret
from channels.settings import Accounts, ApiAccount, LiveKitAccount, Settings, Webhook
from channels.settings.addresses import Address
from channels.settings.catalogue import settings_of


def fields_with(wanted: type[Any], kind: type[Any], prefix: str = "") -> Iterator[str]:
    """The fields of a class, and of those within it, that may hold one of the wanted type."""
    hints = get_type_hints(kind)
    for name in (field.name for field in attrs.fields(kind)):
        for part in parts_of(hints[name]):
            if part is wanted:
                yield prefix + name
            elif isinstance(part, type) and attrs.has(part):
                yield from fields_with(wanted, part, f"{prefix}{name}.")


def parts_of(hint: Any) -> Iterator[Any]:
    """A type, and those it is made of: `tuple[Secret | None, ...]` has a `Secret` in it."""
    yield hint
    for part in get_args(hint):
        yield from parts_of(part)


SECRETS = {"livekit.api_secret", "api.api_key", "api.webhook.secret"}


def test_the_settings_of_a_room_have_no_secret_in_them() -> None:
    assert set(fields_with(Secret, Accounts)) == SECRETS  # it does find them
    assert set(fields_with(Secret, Settings)) == set()


def test_what_belongs_to_an_account_and_what_to_a_room_is_written_as_ever() -> None:
    accounts = {setting.path: setting.rule for setting in settings_of(Accounts)}
    of_room = {setting.path: setting.rule for setting in settings_of(Settings)}
    assert accounts.keys() == {
        "livekit.url",
        "livekit.api_key",
        "livekit.api_secret",
        "api.url",
        "api.api_key",
        "session.webhook.url",
        "session.webhook.events",
        "session.webhook.secret",
    }
    assert not accounts.keys() & of_room.keys()
    assert {"livekit.room_name", "session.greeting", "api.resume"} <= of_room.keys()
    assert not [path for path, rule in of_room.items() if rule.private or isinstance(rule, Address)]


def test_all_secrets_of_the_accounts_are_told_to_whoever_keeps_them_out_of_what_is_written() -> None:
    each = [Secret(path) for path in sorted(SECRETS)]
    accounts = Accounts(
        LiveKitAccount("ws://x", "key", Secret("livekit.api_secret")),
        ApiAccount(api_key=Secret("api.api_key"), webhook=Webhook(secret=Secret("api.webhook.secret"))),
    )
    assert sorted(accounts.secrets, key=Secret.reveal) == each
    without = attrs.evolve(accounts, api=ApiAccount(api_key=Secret("api.api_key")))
    assert len(without.secrets) == 2
