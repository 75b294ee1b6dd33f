"""Change one import of a program written for gpt4free's AllenAI, and its chats are kept.

Run it twice: the second time it goes on where the first one stopped.

    python examples/g4f_drop_in.py                      # a new conversation; prints its id
    python examples/g4f_drop_in.py ID "And the budget?"  # the same one, today or next year
"""

from __future__ import annotations

import asyncio
import sys

from convostore.integrations.g4f import AllenAI, Conversation, FinishReason


async def main(ref: str | None, text: str) -> None:
    """Ask once, print the answer as it comes, and say how to go on."""
    conversation = await Conversation.load(ref) if ref else Conversation("tulu3-405b")
    async for piece in AllenAI.create_async_generator(
        conversation.model, [{"role": "user", "content": text}], conversation=conversation
    ):
        if isinstance(piece, FinishReason):
            print(f"\n[{piece.reason}; go on with: {conversation.id}]")
        else:
            print(piece, end="", flush=True)


if __name__ == "__main__":
    given = [*sys.argv[1:], None, None]
    asyncio.run(main(given[0], given[1] or "Plan three days in Kyoto"))
