"""Slack messages drawn as a person sees them: as text for assertions, as a local page for the eye."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any

Payload = dict[str, Any]

_CODE = re.compile(r"```\n?(.*?)\n?```|`([^`\n]+)`", re.DOTALL)
_STYLE = """
body{font:15px/1.46 Lato,'Helvetica Neue',Helvetica,Arial,sans-serif;color:#1d1c1d;background:#fff;margin:16px;max-width:660px}
.message{display:flex;gap:10px;padding:8px 0}.message.reply{margin-left:46px}
.avatar{flex:none;width:36px;height:36px;border-radius:6px;background:#2c3e50;color:#fff;text-align:center;line-height:36px;font-weight:700}
.name{font-weight:900}.app{background:#ddd;border-radius:2px;font-size:10px;padding:1px 3px;margin:0 6px;color:#454447}
.time,.context,.edited{color:#616061;font-size:12px}.body{min-width:0;flex:1}
.header{font-size:18px;font-weight:900;line-height:1.33;margin:8px 0}.section{margin:8px 0;overflow-wrap:anywhere}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px;margin:8px 0}.fields>div{overflow-wrap:anywhere}
pre{background:#f8f8f8;border:1px solid #ddd;border-radius:4px;padding:8px;font:12px/1.5 Menlo,Consolas,monospace;
white-space:pre-wrap;margin:4px 0}
code{background:#f8f8f8;border:1px solid #ddd;border-radius:3px;color:#c01343;font:12px Menlo,Consolas,monospace;padding:1px 3px}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin:10px 0}.button{border:1px solid #bbb;border-radius:4px;padding:4px 12px;
font-weight:700;font-size:14px}.button.primary{background:#007a5a;border-color:#007a5a;color:#fff}
figure{margin:4px 0 8px}figure img{width:360px;max-width:100%;border:1px solid #ddd;border-radius:8px;margin-top:4px}
.ping{background:#fbf3b5;color:#7f5200;border-radius:3px;padding:0 2px}
"""


def pings(message: Payload) -> list[str]:
    """Whom a message notifies: `<!here>`, `<@U1>`, `<!subteam^S1>`, and bare names where the sender let Slack parse them."""
    called: list[str] = []
    loose = message.get("parse") == "full" or str(message.get("link_names")).lower() in {"true", "1"}
    for kind, text, verbatim in [("mrkdwn", message.get("text") or "", not loose), *_texts(message.get("blocks") or [])]:
        if kind == "mrkdwn":
            called += re.findall(r"<(?:!(?:here|channel|everyone|subteam\^\w+)|@\w+)(?:\|[^>]*)?>", text)
            if not verbatim:
                called += re.findall(r"@(?:here|channel|everyone)\b", text)
    return sorted(set(called))


def as_text(message: Payload) -> str:
    """What a reader sees, a line per line; the blocks, or `text` where there are none. Escapes are undone."""
    blocks = message.get("blocks") or []
    if message.get("files"):
        return "\n".join(f"[{file['title']}: {file['alt_txt']}]" for file in message["files"])
    if not blocks:
        return _shown(message.get("text") or "")
    return "\n".join(_shown(text) if kind == "mrkdwn" else _plain(text) for kind, text, _ in _texts(blocks))


def as_html(payload: Payload | Sequence[Payload]) -> str:
    """A page that draws a message, or several with their threads, about as Slack does."""
    messages = [payload] if isinstance(payload, dict) else list(payload)
    ordered = sorted(messages, key=lambda m: (m.get("thread_ts") or m.get("ts") or "", m.get("ts") or ""))
    drawn = "\n".join(_message(m) for m in ordered)
    for sign, (shape, colour) in SIGNS.items():
        drawn = drawn.replace(sign, f'<span style="color:{colour}">{shape}</span>')
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Slack</title><style>{_STYLE}</style>'
    return f"{head}<body>{drawn}</body></html>"


def _texts(part: Any) -> Iterator[tuple[str, str, bool]]:
    """Every text object as (type, text, verbatim), in the order it is shown."""
    if isinstance(part, list):
        for inner in part:
            yield from _texts(inner)
    elif isinstance(part, dict):
        if isinstance(part.get("text"), str):
            yield part.get("type", ""), part["text"], bool(part.get("verbatim"))
        for name in ("text", "fields", "elements"):
            if not isinstance(part.get(name), str):
                yield from _texts(part.get(name))


SIGNS = {"🔴": ("●", "#d92d20"), "🟠": ("●", "#e8912d"), "✅": ("✔", "#007a5a"), "ℹ️": ("●", "#1d6fb8"), "✋": ("☛", "#616061")}
"""What a page shows for them: a machine without a colour font would draw boxes."""
EMOJI = {":raised_hand:": "✋"}
"""Slack's names for those of its signs that our messages use."""


def _shown(mrkdwn: str) -> str:
    text = re.sub(r"<!date\^\d+\^[^|>]*\|([^>]*)>", r"\1", mrkdwn)
    text = re.sub(r"<!(here|channel|everyone)(?:\|[^>]*)?>", r"@\1", text)
    text = re.sub(r"<(?:[^|>]*)\|([^>]*)>", r"\1", text)
    return _plain(text)


def _plain(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _message(message: Payload) -> str:
    blocks = message.get("blocks") or [{"type": "section", "text": {"type": "mrkdwn", "text": message.get("text") or ""}}]
    edited = '<span class="edited">(edited)</span>' if message.get("edited") else ""
    kind = "message reply" if message.get("thread_ts") else "message"
    files = message.get("files") or []
    body = "\n".join([*(_block(b) for b in blocks if message.get("text") or not files), *(_file(f) for f in files)])
    name = '<span class="name">datavigil</span><span class="app">APP</span>'
    return f'<div class="{kind}"><div class="avatar">dv</div><div class="body">{name}{edited}{body}</div></div>'


def _file(file: Payload) -> str:
    alt, title, at = (html.escape(str(file[name])) for name in ("alt_txt", "title", "url_private"))
    return f'<figure><figcaption class="context">{title}</figcaption><img src="{at}" alt="{alt}"></figure>'


def _block(block: Payload) -> str:
    kind = block.get("type")
    if kind == "header":
        return f'<div class="header">{html.escape(_plain(block["text"]["text"]))}</div>'
    if kind == "context":
        return f'<div class="context">{" ".join(_mrkdwn(e.get("text", "")) for e in block["elements"])}</div>'
    if kind == "divider":
        return "<hr>"
    if kind == "actions":
        shown = "".join(
            f'<span class="button {e.get("style", "")}">{html.escape(e["text"]["text"])}</span>' for e in block["elements"]
        )
        return f'<div class="actions">{shown}</div>'
    text = f'<div class="section">{_mrkdwn(block["text"]["text"])}</div>' if "text" in block else ""
    fields = "".join(f"<div>{_mrkdwn(f['text'])}</div>" for f in block.get("fields", []))
    return text + (f'<div class="fields">{fields}</div>' if fields else "")


def _button(button: Payload) -> str:
    return f'<span class="button {html.escape(button.get("style", ""))}">{html.escape(button["text"]["text"])}</span>'


def _mrkdwn(text: str) -> str:
    """mrkdwn as HTML; only what Slack itself would make of it becomes markup, the rest stays escaped."""
    done, at = [], 0
    for code in _CODE.finditer(text):
        done.append(_prose(text[at : code.start()]))
        inside = html.escape(_shown(code[1] if code[1] is not None else code[2]))
        done.append(f"<pre>{inside}</pre>" if code[1] is not None else f"<code>{inside}</code>")
        at = code.end()
    return "".join([*done, _prose(text[at:])])


def _prose(text: str) -> str:
    pieces = re.split(r"(<[^<>]+>)", text)
    drawn = "".join(_marked(p) if not p.startswith("<") else _reference(p) for p in pieces).replace("\n", "<br>")
    return re.sub("|".join(EMOJI), lambda name: EMOJI[name[0]], drawn)


def _reference(token: str) -> str:
    shown = html.escape(_shown(token).strip("<>"))
    if token.startswith("<http"):
        return f'<a href="{html.escape(token[1:-1].partition("|")[0])}">{shown}</a>'
    return f'<span class="ping">{shown}</span>' if token[1:2] in "@!" and not token.startswith("<!date") else shown


def _marked(text: str) -> str:
    # Slack's own escapes are HTML's, so they stay; only quotes are left to escape.
    safe = text.replace('"', "&quot;")
    for sign, tag in (("*", "b"), ("_", "i"), ("~", "s")):
        mark = re.escape(sign)
        safe = re.sub(rf"(?<![\w{mark}]){mark}(\S(?:[^\n{mark}]*\S)?){mark}(?![\w{mark}])", rf"<{tag}>\1</{tag}>", safe)
    return safe
