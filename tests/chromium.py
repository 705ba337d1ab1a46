"""A page opened in headless Chromium, at several widths at once, and what is measured in it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
WRAPPER = """<!DOCTYPE html><meta charset="utf-8"><title>measuring</title>
{frames}
<pre id="measured"></pre>
<script>
const round = (x) => Math.round(10 * x) / 10;
function measure(frame) {{
  const page = frame.contentDocument, width = frame.clientWidth, found = {{}};
  const box = (element) => element.getBoundingClientRect();
  found.scroll_width = page.documentElement.scrollWidth;
  found.outside = [...page.querySelectorAll("body *:not(.scroll *):not(svg *):not(.skip)")]
    .filter((e) => box(e).width && (box(e).right > width + 1 || box(e).left < -1))
    .map((e) => e.tagName + " " + e.className);
  found.figures = [...page.querySelectorAll("figure svg, figure img")].map((e) => ({{
    width: round(box(e).width), height: round(box(e).height), role: e.getAttribute("role"),
    text: e.getAttribute("aria-label") || e.getAttribute("alt"),
    labels: e.querySelectorAll("text").length,
    cut: [...e.querySelectorAll("text")].filter((t) => box(t).right > box(e).right + 2
      || box(t).left < box(e).left - 2 || box(t).bottom > box(e).bottom + 2)
      .map((t) => t.textContent),
  }}));
  found.tables = [...page.querySelectorAll("table")].map((t) => ({{
    caption: t.caption && t.caption.textContent,
    heads: [...t.querySelectorAll("th")].every((th) => ["row", "col"].includes(th.scope)),
    reachable: t.parentElement.tabIndex === 0,
  }}));
  found.background = frame.contentWindow.getComputedStyle(page.body).backgroundColor;
  found.ink = frame.contentWindow.getComputedStyle(page.body).color;
  found.text = [...page.querySelectorAll("svg text")].map(
    (t) => frame.contentWindow.getComputedStyle(t).fill);
  return found;
}}
window.onload = () => setTimeout(() => {{
  const frames = [...document.querySelectorAll("iframe")];
  document.querySelector("#measured").textContent = JSON.stringify(frames.map(measure));
}}, 200);
</script>
"""


def measured(page: str, folder: Path, *widths: int, dark: bool = False) -> list[dict[str, Any]]:
    """What is measured of a page at each of these widths in pixels; `messages` of the console."""
    frames = "".join(
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{html.escape(page)}">'
        "</iframe>"
        for width in widths
    )
    file = folder / "measuring.html"
    file.write_text(WRAPPER.format(frames=frames), encoding="utf-8")
    command = [
        *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
        *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", "--dump-dom"),
        *(f"--blink-settings=preferredColorScheme={0 if dark else 1}", file.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    text = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.S)
    assert text and text[1], done.stdout[-500:] + done.stderr[-2000:]
    messages = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return [one | {"messages": messages} for one in json.loads(html.unescape(text[1]))]
