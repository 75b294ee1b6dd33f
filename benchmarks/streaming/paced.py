"""The far side: a server in a process of its own that sends deltas as JSON lines, at a pace.

`python -m benchmarks.streaming.paced` prints its port. `GET /?deltas=N&rate=R` is answered with
N lines, R a second, each with its text and the moment it was sent, on the monotonic clock that
all processes of a machine share. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
WORDS = ("Begin ", "in ", "the ", "east, ", "below ", "the ", "hills, ", "early. ")


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request."""
    request = await reader.readuntil(b"\r\n\r\n")
    query = parse_qs(urlsplit(request.split(b" ", 2)[1].decode()).query)
    deltas, rate = int(query["deltas"][0]), float(query["rate"][0])
    writer.write(HEAD)
    began_s = time.monotonic()
    for number in range(deltas):
        early_s = began_s + number / rate - time.monotonic()
        if early_s > 0:
            await asyncio.sleep(early_s)
        line = {"text": WORDS[number % len(WORDS)], "at": time.monotonic()}
        writer.write(json.dumps(line).encode() + b"\n")
        if writer.transport.get_write_buffer_size() > 65536:
            await writer.drain()
    writer.close()


async def serve() -> None:
    """Serve until standard input ends."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve())
