"""The key rules of Telegram, Discord and Slack: what names a room, a message and a person."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace as Told
from typing import Any

import pytest
from telegram import Chat, Message, User

from convostore.integrations import discord, slack, telegram

NOON = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
ANN = User(1, "Ann", is_bot=False, last_name="Lee")


def telegram_message(chat: Chat, *, who: User | None = ANN, **more: Any) -> Message:
    """Return a message as python-telegram-bot gives it."""
    return Message(7, NOON, chat, from_user=who, **more)


@pytest.mark.parametrize(
    ("chat", "more", "key"),
    [
        (Chat(1, "private"), {}, "telegram:1"),
        (Chat(-42, "group"), {}, "telegram:-42"),
        (Chat(-42, "supergroup"), {"message_thread_id": 3}, "telegram:-42"),
        (
            Chat(-42, "supergroup", is_forum=True),
            {"message_thread_id": 3, "is_topic_message": True},
            "telegram:-42:3",
        ),
        (Chat(1, "private"), {"business_connection_id": "b"}, "telegram:business:b:1"),
    ],
    ids=["private", "group", "reply in a plain group", "topic", "business"],
)
def test_telegram_rooms_are_chats_and_topics(chat: Chat, more: dict[str, Any], key: str) -> None:
    """A thread's id counts in a forum's topic alone; a business connection is part of the name."""
    message = telegram_message(chat, **more)
    assert telegram.conversation_key(message) == key
    assert telegram.conversation_key(message, per_user=True) == f"{key}:user:telegram:1"
    assert telegram.said(message) == {
        "idempotency_key": f"{chat.id}:7",
        "author": "Ann Lee",
        "author_id": "telegram:1",
    }


def test_telegram_message_in_the_name_of_a_chat_is_that_chats() -> None:
    """Of an anonymous administrator, or of a channel; of nobody, there is no author."""
    group = Chat(-42, "supergroup", title="Fruit")
    message = telegram_message(group, sender_chat=group)
    assert (telegram.author(message), telegram.author_id(message)) == ("Fruit", "telegram:-42")
    message = telegram_message(Chat(-9, "channel"), who=None)
    assert (telegram.author(message), telegram.author_id(message)) == (None, None)


def test_telegram_group_that_migrates_is_told_in_both_chats() -> None:
    """The same two keys; any other message tells none."""
    keys = ("telegram:-42", "telegram:-10042")
    before = telegram_message(Chat(-42, "group"), migrate_to_chat_id=-10042)
    after = telegram_message(Chat(-10042, "supergroup"), migrate_from_chat_id=-42)
    assert telegram.migrated(before) == telegram.migrated(after) == keys
    assert telegram.migrated(telegram_message(Chat(-42, "group"))) is None


def test_discord_rooms_are_channels_and_ids_are_text() -> None:
    """Of messages, interactions and raw events alike; a thread says what it belongs to."""
    big = 2**63
    ann = Told(id=5, display_name="Ann")
    thread = Told(id=big, parent_id=77)
    message = Told(id=big + 1, channel=thread, author=ann)
    assert discord.conversation_key(message) == f"discord:{big}"
    assert discord.conversation_key(message, per_user=True) == f"discord:{big}:user:discord:5"
    assert discord.said(message) == {
        "idempotency_key": str(big + 1),
        "author": "Ann",
        "author_id": "discord:5",
    }
    assert discord.metadata(message) == {"parent_id": "77"}
    assert discord.metadata(Told(channel=Told(id=1))) == {}
    raw = Told(channel_id=big, message_id=big + 1)
    assert discord.conversation_key(raw) == discord.conversation_key(message)
    assert discord.idempotency_key(raw) == discord.idempotency_key(message)
    assert discord.author_id(Told(id=9, channel_id=big, user=ann)) == "discord:5"
    assert discord.author(raw) is None


def test_discord_button_is_pressed_by_whoever_pressed_it() -> None:
    """The message below which it stands is the bot's own."""
    bot, ann = Told(id=9, display_name="Bot"), Told(id=1, display_name="Ann")
    pressed = Told(channel_id=5, id=7, user=ann, message=Told(author=bot))
    assert (discord.author(pressed), discord.author_id(pressed)) == ("Ann", "discord:1")
    key = discord.conversation_key(pressed, per_user=True)
    assert key == "discord:5:user:discord:1"
    edited = Told(channel_id=5, message_id=7, message=Told(author=ann))
    assert discord.author_id(edited) == "discord:1"


def test_slack_rooms_are_threads_and_direct_messages() -> None:
    """What begins a thread is in it; direct messages are one room, however they are threaded."""
    first = {"type": "app_mention", "channel": "C1", "team": "T1", "ts": "1.1", "user": "UANN"}
    reply = first | {"type": "message", "ts": "1.2", "thread_ts": "1.1"}
    assert slack.conversation_key(first) == slack.conversation_key(reply) == "slack:T1:C1:1.1"
    assert slack.conversation_key(first, "T2") == "slack:T2:C1:1.1"
    assert slack.conversation_key(first, per_user=True) == "slack:T1:C1:1.1:user:slack:UANN"
    direct = reply | {"channel": "D1", "channel_type": "im"}
    assert slack.conversation_key(direct) == "slack:T1:D1"
    assert slack.said(first) == {
        "idempotency_key": "1.1",
        "author": "UANN",
        "author_id": "slack:UANN",
    }


def test_slack_changes_and_deletions_name_the_message_that_they_are_about() -> None:
    """Its own time, its thread and its author, not those of the event."""
    message = {"ts": "1.2", "thread_ts": "1.1", "user": "UANN", "text": "new"}
    about = {"type": "message", "channel": "C1", "ts": "9.9"}
    for event in (
        about | {"subtype": "message_changed", "message": message},
        about | {"subtype": "message_deleted", "previous_message": message},
    ):
        assert slack.conversation_key(event, "T1") == "slack:T1:C1:1.1"
        assert slack.idempotency_key(event) == "1.2"
        assert slack.author_id(event) == "slack:UANN"
        assert slack.text(event) == "new"
    assert slack.author_id(about) is None


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ({}, 0),
        ({"X-Slack-Retry-Num": "2"}, 2),
        ({"x-slack-retry-num": ["1"]}, 1),
        ({"x-slack-retry-num": []}, 0),
        ({"x-slack-retry-num": "soon"}, 0),
    ],
)
def test_slack_tells_how_often_it_has_delivered_before(
    headers: dict[str, Any], number: int
) -> None:
    """In whatever letters, as text or as a list; what is no number is none."""
    assert slack.retries(headers) == number
