"""The drop-in beside the real gpt4free 0.5.1.2, against the same server."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.compat, pytest.mark.timeout(900)]

PROGRAM = """
import asyncio, inspect, json, os, sys
sys.path.append(sys.argv[1])  # after our own packages
import g4f.providers.response as kinds
from g4f.Provider import AllenAI as _
from g4f.Provider.AllenAI import AllenAI as Theirs, Conversation as TheirConversation
from convostore.integrations.g4f import AllenAI as Ours, Conversation as OurConversation
from convostore.testing import PlaygroundServer

BASES = ("ResponseType", "BaseConversation", "JsonConversation", "HiddenResponse", "FinishReason")

def signature(client):
    return [
        (one.name, one.kind.name, repr(one.default))
        for one in inspect.signature(client.create_async_generator).parameters.values()
    ]

def shape(one):
    bases = [base for base in BASES if isinstance(one, getattr(kinds, base))]
    return [type(one).__name__, bases, str(one)]

async def ask(server, client, text, **more):
    server.answer("one", " two", " three")
    yielded = []
    generator = client.create_async_generator(
        "tulu3-405b", [{"role": "user", "content": text}], **more
    )
    async for one in generator:
        yielded.append(one)
    return yielded

async def trial(server, client, kind):
    conversation = kind("tulu3-405b")
    plain = await ask(server, client, "Hi")
    first = await ask(server, client, "Hi", conversation=conversation, return_conversation=True)
    parent = conversation.parent
    second = await ask(server, client, "More", conversation=conversation)
    sent = [r.fields for r in server.requests if r.path == "/v4/message/stream"]
    return {
        "signature": signature(client),
        "plain": [shape(one) for one in plain],
        "first": [shape(one) for one in first],
        "same object": first[-2] is conversation,
        "reason": first[-1].get_dict(),
        "second": [shape(one) for one in second],
        "parent sent": sent[-1]["parent"] == parent,
        "content sent": [one["content"] for one in sent],
        "roles": [one["role"] for one in conversation.messages],
        "state": sorted(conversation.get_dict()),
    }

async def main():
    found = {}
    trials = (
        ("theirs", Theirs, TheirConversation),
        ("ours", Ours, OurConversation),
        ("ours with their conversation", Ours, TheirConversation),
    )
    for name, client, kind in trials:
        async with PlaygroundServer("stream") as server:
            Theirs.api_endpoint = f"{server.url}/v4/message/stream"
            os.environ["CONVOSTORE_PLAYGROUND_URL"] = server.url
            found[name] = await trial(server, client, kind)
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Install gpt4free into a folder of its own, and let both clients answer the same questions."""
    folder: Path = tmp_path_factory.mktemp("g4f")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, "--target", str(folder / "site"), "g4f==0.5.1.2"], check=True)
    (folder / "config.toml").touch()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder / "site")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),  # gpt4free makes folders there
            "CONVOSTORE_DB": str(folder / "chats.db"),
            "CONVOSTORE_CONFIG": str(folder / "config.toml"),
        },
    )
    trials: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return trials


def test_signature_is_theirs(found: dict[str, dict[str, Any]]) -> None:
    """Every argument has its name, its place and its default; the host's is the older client's."""
    ours, theirs = found["ours"]["signature"], found["theirs"]["signature"]
    assert [one[:2] for one in ours] == [one[:2] for one in theirs]
    assert [one for one in ours if one not in theirs] == [
        ["host", "POSITIONAL_OR_KEYWORD", "'inferd'"]
    ]


@pytest.mark.parametrize("who", ["ours", "ours with their conversation"])
@pytest.mark.parametrize(
    "what",
    [
        *("plain", "first", "second", "same object", "reason"),
        *("parent sent", "content sent", "roles"),
    ],
)
def test_what_is_yielded_and_sent_is_theirs(
    found: dict[str, dict[str, Any]], who: str, what: str
) -> None:
    """The kinds of things yielded and their order, the text, and what the server is asked."""
    assert found[who][what] == found["theirs"][what]


def test_state_of_a_conversation_has_all_of_theirs(found: dict[str, dict[str, Any]]) -> None:
    """And the id by which it is had again."""
    assert set(found["ours"]["state"]) == {*found["theirs"]["state"], "id"}
    assert found["ours with their conversation"]["state"] == found["ours"]["state"]
