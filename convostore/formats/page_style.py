"""How an exported page looks: light and dark, on a wide screen, a phone and paper."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--ground:#fcfbf9;--ink:#22252a;--quiet:#6a6e76;--line:#e4e0d8;
--asked:#f2efe8;--code:#f4f2ed;--link:#2a5f9e;--mark:#a0522d}
@media(prefers-color-scheme:dark){:root{--ground:#15171b;--ink:#dfe2e7;--quiet:#949aa4;
--line:#2c3038;--asked:#20242b;--code:#1c1f25;--link:#8ab4e8;--mark:#e0a878}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);overflow-wrap:anywhere;
font:1rem/1.65 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:46rem;margin:0 auto;padding:3.5rem 1.25rem 5rem}
h1.title{font-size:1.7rem;line-height:1.25;font-weight:650;letter-spacing:-.01em;margin:0 0 .6rem}
.facts{color:var(--quiet);font-size:.86rem;margin:0 0 2.5rem;padding-bottom:1.4rem;
border-bottom:1px solid var(--line)}
.facts>:not(.tag):not(:last-child)::after{content:"\\a0\\b7 ";color:var(--line)}
.tag{border:1px solid var(--line);border-radius:1rem;padding:.05rem .55rem}
.chat+.chat{margin-top:6rem}
.m{margin:0 0 2rem}
.who{display:flex;flex-wrap:wrap;gap:0 .6rem;align-items:baseline;font-size:.82rem;
color:var(--quiet);margin:0 0 .35rem}
.who b{color:var(--ink);font-weight:600}
.who time{margin-left:auto;font-variant-numeric:tabular-nums;opacity:.85}
.user .body{background:var(--asked);border-radius:.75rem;padding:.85rem 1.1rem}
.system .body,.tool .body{border-left:3px solid var(--line);padding-left:1rem;color:var(--quiet)}
.body>:first-child,.body>div>:first-child{margin-top:0}
.body>:last-child,.body>div>:last-child{margin-bottom:0}
.plain{white-space:pre-wrap}
.text{margin:.9rem 0}
.text h1,.text h2,.text h3,.text h4{line-height:1.3;margin:1.6rem 0 .5rem;font-weight:620}
.text h1{font-size:1.3rem}.text h2{font-size:1.18rem}.text h3{font-size:1.06rem}.text h4{font-size:1rem}
p{margin:.75rem 0}ul,ol{padding-left:1.5rem;margin:.75rem 0}li{margin:.2rem 0}
blockquote{margin:1rem 0;padding-left:1rem;border-left:3px solid var(--line);color:var(--quiet)}
hr{border:0;border-top:1px solid var(--line);margin:1.8rem 0}
a{color:var(--link);text-underline-offset:.15em}
code,pre{font:.88em/1.55 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{background:var(--code);border-radius:.3rem;padding:.1em .32em}
pre{background:var(--code);border:1px solid var(--line);border-radius:.6rem;padding:.85rem 1rem;
overflow-x:auto;margin:1rem 0;overflow-wrap:normal}
pre code{background:none;padding:0;font-size:inherit}
pre.raw{white-space:pre-wrap;overflow-wrap:anywhere}
table{border-collapse:collapse;display:block;overflow-x:auto;max-width:100%;margin:1rem 0;font-size:.94em}
th,td{border-bottom:1px solid var(--line);padding:.4rem .9rem .4rem 0;text-align:left;vertical-align:top}
th{font-weight:600}td.right,th.right{text-align:right}td.center,th.center{text-align:center}
details{margin:.9rem 0;font-size:.92em}
summary{color:var(--quiet);cursor:pointer;width:fit-content}
details[open]>summary{margin-bottom:.5rem}
details>.plain{color:var(--quiet);border-left:3px solid var(--line);padding-left:1rem}
figure{margin:.9rem 0}figure img{max-width:100%;height:auto;border-radius:.6rem;display:block}
figcaption,.file{color:var(--quiet);font-size:.86rem;margin-top:.3rem}
.ending{color:var(--mark);font-size:.86rem;margin:.6rem 0 0}
.fork{display:flex;flex-wrap:wrap;align-items:center;gap:.35rem;margin:0 0 1.1rem}
.fork>.says{color:var(--quiet);font-size:.82rem;margin-right:.25rem}
.fork>label{position:relative;min-width:1.75rem;text-align:center;font-size:.82rem;line-height:1.6rem;
padding:0 .45rem;border:1px solid var(--line);border-radius:.5rem;color:var(--quiet);cursor:pointer;
font-variant-numeric:tabular-nums}
.fork>label:hover{color:var(--ink);border-color:var(--quiet)}
.fork>label>input{position:absolute;inset:0;opacity:0;margin:0;cursor:pointer}
.fork>label:has(:checked){background:var(--ink);border-color:var(--ink);color:var(--ground)}
.fork>label:has(:focus-visible){outline:2px solid var(--link);outline-offset:2px}
.fork>.alt{order:1;flex:0 0 100%;min-width:0;display:none;margin-top:.8rem}
.fork>.alt>:last-child{margin-bottom:0}
.fork>label:has(:checked)+.alt{display:block}
.fork:has(>.off>:checked)~*{display:none}
@supports not selector(:has(a)){.fork>.alt{display:block;border-left:3px solid var(--line);
padding-left:1rem}.fork>label{display:none}}
footer{max-width:46rem;margin:0 auto;padding:0 1.25rem 3rem;color:var(--quiet);font-size:.8rem}
@media(max-width:34rem){main{padding:2rem 1rem 3rem}footer{padding:0 1rem 2rem}h1.title{font-size:1.4rem}
.user .body{padding:.7rem .9rem}.m{margin-bottom:1.6rem}}
@media print{:root{--ground:#fff;--ink:#000;--quiet:#555;--line:#ccc;--asked:#f4f4f4;--code:#f6f6f6;
--link:#000;--mark:#000}main,footer{max-width:none;padding:0}body{font-size:10.5pt}
pre{white-space:pre-wrap;overflow-wrap:anywhere}.who{break-after:avoid}.m{orphans:3;widows:3}
.chat+.chat{break-before:page;margin-top:0}}
"""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
# Nothing is loaded, run, sent or framed; pictures are those that stand in the page itself.
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)
