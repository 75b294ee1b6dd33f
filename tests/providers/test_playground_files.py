"""Files for the Playground: sent to models that take them, refused for all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import pytest

import convostore
from convostore.errors import AttachmentRefusedError, ProviderError
from convostore.providers.playground import Playground
from convostore.testing.playground import PlaygroundServer
from convostore.testing.playground_models import PlaygroundModel

if TYPE_CHECKING:
    from tests.engines import Where

MOLMO = "mm-olmo-uber-model-v4-synthetic"
BIG = b"\x89PNG\r\n--" + bytes(range(256)) * 3000  # more than a piece has


def model(**rules: Any) -> PlaygroundModel:
    """Return a model that takes files by some rules."""
    return PlaygroundModel(id="eyes", name="Eyes", host="modal", file_rules={"x": 1, **rules})


@pytest.mark.asyncio
@pytest.mark.parametrize("dialect", ["threads", "stream"])
async def test_file_reaches_the_server_whole_with_its_name_and_type(
    path: Where, dialect: Literal["threads", "stream"]
) -> None:
    """In the field `files` of the form, whose length is told before."""
    async with (
        PlaygroundServer(dialect, models=[model()]) as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model="eyes")
        picture = await store.attach(BIG, name='a "cat" 京.png')
        await chat.send("What is this?", attachments=[picture, b"raw"])
        sent = server.requests[-1]
        assert [(file.field, file.media_type, file.data) for file in sent.files] == [
            ("files", "image/png", BIG),
            ("files", "application/octet-stream", b"raw"),
        ]
        assert unquote(sent.files[0].name) == 'a "cat" 京.png'
        assert sent.fields["content"] == "What is this?"
        assert int(sent.headers["Content-Length"]) == len(sent.body) > len(BIG)
        await chat.send("And what not?")
        assert server.requests[-1].files == ()
        assert sent.fields["model"] == "eyes"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rules", "files", "said"),
    [
        (None, [b"x"], "eyes takes no files"),
        ({"accepted_file_types": ["image/*"]}, [b"x"], "octet-stream; eyes takes image/"),
        ({"max_files_per_message": 1}, [b"x", b"y"], "takes 1 files with a message"),
        ({"max_total_file_size": 3}, [b"ab", b"cd"], "have 4 bytes; eyes takes 3"),
    ],
)
async def test_what_a_model_does_not_take_is_refused_before_it_is_stored(
    path: Where, rules: dict[str, Any] | None, files: list[bytes], said: str
) -> None:
    """As the server's list says; nothing is sent, and no message is stored."""
    offered = PlaygroundModel(id="eyes", name="Eyes") if rules is None else model(**rules)
    async with (
        PlaygroundServer(models=[offered]) as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model="eyes")
        with pytest.raises(AttachmentRefusedError, match=said):
            await chat.send("q", attachments=files)
        assert await chat.messages() == ()
        assert [request.method for request in server.requests] == ["GET"]
        other = await store.create(model="not-in-the-list")
        with pytest.raises(AttachmentRefusedError, match="takes no files"):
            await other.send("q", attachments=files)


@pytest.mark.asyncio
async def test_first_message_alone_and_names_in_a_new_thread(path: Where) -> None:
    """A model that takes files at first is not sent more; a thread told again names them."""
    async with (
        PlaygroundServer() as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        chat = await store.create(model=MOLMO)
        picture = await store.attach(BIG, name="cat.png")
        await chat.send("What is this?", attachments=[picture])
        with pytest.raises(AttachmentRefusedError, match="with the first message only"):
            await chat.send("And this?", attachments=[picture])
        server.messages.clear()  # the server forgets the thread
        await chat.send("And now?")
        told = str(server.requests[-1].fields["content"])
        assert '"attachments":["cat.png"]' in told
        assert server.requests[-1].files == ()


@pytest.mark.asyncio
async def test_without_a_list_files_are_refused(path: Where) -> None:
    """Whether they are taken cannot be known: the server's own error says why."""
    async with (
        PlaygroundServer() as server,
        convostore.open(path, provider=Playground(server.url)) as store,
    ):
        server.respond(503, "later", method="GET", times=None)
        chat = await store.create(model=MOLMO)
        with pytest.raises(ProviderError) as raised:
            await chat.send("q", attachments=[b"x"])
        assert raised.value.status == 503
        assert await chat.messages() == ()
