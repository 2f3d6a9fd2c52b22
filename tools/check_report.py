"""Opens reports in headless Chromium and checks what a reader would stumble over.

Run: python tools/check_report.py --axe axe.min.js [--shots FOLDER] report.html ...

Needs Chromium and axe.min.js (`npm install axe-core`); not part of the test suite. At 390 and 1280
pixels and at print width it lists console messages, the violations that axe-core finds, whether
the page scrolls sideways, and texts of pictures that stick out of them. Exit 1 on any of these.
"""

import argparse
import asyncio
import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import aiohttp

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0",
)  # fmt: skip
WIDTHS = {"390": (390, "screen"), "1280": (1280, "screen"), "print": (687, "print")}  # A4 - margins
# every detail is opened first, so that it is checked as well
OPEN = "document.querySelectorAll('details').forEach(d => d.open = true)"
SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
STICKING_OUT = """[...document.querySelectorAll('svg text')].filter(t => {
  const a = t.getBoundingClientRect(), b = t.closest('svg').getBoundingClientRect();
  return a.width && (a.left < b.left - 1 || a.right > b.right + 1
    || a.top < b.top - 1 || a.bottom > b.bottom + 1);
}).map(t => t.textContent)"""
CUT = """[...document.querySelectorAll(
  'p, li, td, th, h1, h2, h3, h4, pre, dd, summary, figcaption')]
.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth
  && getComputedStyle(e).display !== 'inline' && !e.querySelector('.scroll, svg, table'))
.map(e => e.textContent.trim().slice(0, 60))"""
ON_PAPER = """[...document.querySelectorAll('table')].filter(t =>
  t.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
.map(t => t.parentElement.getAttribute('aria-label'))"""
AXE = """axe.run().then(found => found.violations.map(v =>
  [v.impact, v.id, v.nodes.length, v.nodes[0].html.slice(0, 120),
   (v.nodes[0].any[0] || {}).message || '']))"""


class Browser:
    """One tab of a Chromium, driven over its debugging port."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.number, self.messages = socket, 0, list[str]()

    async def call(self, method: str, **values: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its answer."""
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": values})
        async for message in self.socket:
            event = json.loads(message.data)
            if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.messages.append(json.dumps(event["params"])[:300])
            if event.get("method") == "Log.entryAdded":
                self.messages.append(event["params"]["entry"]["text"])
            if event.get("id") == self.number:
                return dict(event.get("result") or event)
        raise RuntimeError("the browser has gone")

    async def value(self, code: str) -> Any:
        """Return what a piece of JavaScript gives."""
        asked = {"expression": code, "awaitPromise": True, "returnByValue": True}
        return (await self.call("Runtime.evaluate", **asked))["result"].get("value")


async def check(tab: Browser, page: Path, axe: str, shots: Path | None) -> int:
    """Check one page at every width; print what is wrong and return how much."""
    wrong = 0
    for name, (width, medium) in WIDTHS.items():
        tab.messages.clear()
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await tab.call("Emulation.setDeviceMetricsOverride", **size)
        await tab.call("Emulation.setEmulatedMedia", media=medium)
        await tab.call("Page.navigate", url=page.resolve().as_uri())
        await asyncio.sleep(1.5)
        if shots:
            await save(tab, shots / f"{page.parent.name}-{name}.png", width)
        closed = await tab.value(ON_PAPER) if medium == "print" else []
        await tab.value(OPEN)
        found = {
            "console": list(tab.messages),
            "sideways": [True] if medium == "screen" and await tab.value(SIDEWAYS) else [],
            "outside of pictures": await tab.value(STICKING_OUT),
            "cut texts": await tab.value(CUT) if medium == "screen" else [],
            "tables wider than the paper": closed,
        }
        await tab.value(axe)
        violations = await tab.value(AXE)
        found["axe"] = ["axe did not run"] if violations is None else violations
        wrong += sum(map(len, found.values()))
        print(page, name, {key: value for key, value in found.items() if value} or "nothing found")
    if shots:
        pdf = await tab.call("Page.printToPDF", preferCSSPageSize=True)
        (shots / f"{page.parent.name}.pdf").write_bytes(base64.b64decode(pdf["data"]))
    return wrong


async def save(tab: Browser, path: Path, width: int) -> None:
    """Save a picture of the whole page."""
    height = await tab.value("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16000), "scale": 1}
    taken = await tab.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
    path.write_bytes(base64.b64decode(taken["data"]))


async def run(arguments: argparse.Namespace) -> int:
    """Start a browser, check all pages, and end it."""
    with tempfile.TemporaryDirectory() as profile:
        command = [arguments.chromium, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ready = Path(profile) / "DevToolsActivePort"
            while not ready.exists() or not ready.read_text().strip():
                await asyncio.sleep(0.2)
            port = ready.read_text().split()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json") as answer:
                    tabs = [t for t in await answer.json() if t["type"] == "page"]
                address, limit = tabs[0]["webSocketDebuggerUrl"], 2**28
                async with session.ws_connect(address, max_msg_size=limit) as socket:
                    tab = Browser(socket)
                    for domain in ("Page", "Runtime", "Log"):
                        await tab.call(f"{domain}.enable")
                    axe = arguments.axe.read_text(encoding="utf-8")
                    pages = arguments.pages
                    return sum([await check(tab, page, axe, arguments.shots) for page in pages])
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--axe", required=True, type=Path)
    parser.add_argument("--shots", type=Path)
    parser.add_argument("--chromium", default="chromium")
    sys.exit(min(1, asyncio.run(run(parser.parse_args()))))
