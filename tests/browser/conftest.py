"""A headless Chromium that tests drive by its DevTools protocol.

The protocol is spoken over the websocket of tornado, which Bokeh brings: Playwright would bring a driver of 40 MB and a
browser of its own, Selenium a driver that has to fit the browser, and pyppeteer is no longer kept.
"""

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

#: Names under which the browser is found.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: Seconds after which a browser that does not answer has failed.
PATIENCE = 30


class Browser:
    """One tab of a headless Chromium.

    Args:
        socket: To the tab.
        loop: On which the socket lives.
    """

    def __init__(self, socket: WebSocketClientConnection, loop: asyncio.AbstractEventLoop):
        self._socket, self._loop, self._number = socket, loop, 0
        self._events: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        message = json.dumps({"id": self._number, "method": method, "params": parameters})
        self._loop.run_until_complete(self._write(message))
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._events.append(answer)

    async def _write(self, message: str) -> None:
        await self._socket.write_message(message)

    async def _next(self) -> str | bytes | None:
        return await asyncio.wait_for(self._socket.read_message(), PATIENCE)

    def _read(self) -> dict[str, Any]:
        text = self._loop.run_until_complete(self._next())
        if text is None:
            raise RuntimeError("Chromium has closed the connection.")
        return json.loads(text)

    def open(self, path: Path, width: int = 1440, *, scheme: str = "light", until: str = "") -> float:
        """Open a page and wait for an event, or until its charts are drawn; return the seconds that this took."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Emulation.setEmulatedMedia", media="", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self._events.clear()
        started = time.perf_counter()
        self.send("Page.navigate", url=path.resolve().as_uri())
        while not any(event["method"] == (until or "Page.loadEventFired") for event in self._events):
            self._events.append(self._read())
        if not until:
            self.run(_DRAWN)
        return time.perf_counter() - started

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page; a promise is waited for."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Press, move, release or turn the mouse, as a hand does."""
        self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one point of the window to another."""
        self.mouse("mouseMoved", *begin)
        self.mouse("mousePressed", *begin, button="left", buttons=1, clickCount=1)
        for share in (0.25, 0.5, 0.75, 1.0):
            x, y = (a + share * (b - a) for a, b in zip(begin, end, strict=True))
            self.mouse("mouseMoved", x, y, button="left", buttons=1)
        self.mouse("mouseReleased", *end, button="left", clickCount=1)

    def click(self, selector: str, number: int = 0) -> None:
        """Click the middle of an element."""
        x, y = self.middle(selector, number)
        self.mouse("mousePressed", x, y, button="left", clickCount=1)
        self.mouse("mouseReleased", x, y, button="left", clickCount=1)

    def swipe(self, x: float, y: float, up: float) -> None:
        """Move a finger upwards from a point of the window; wait until the page stands still."""
        self.send("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for share in np.linspace(0.1, 1, 10):
            self.send("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x, "y": y - share * up}])
        self.send("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.run("new Promise((done) => setTimeout(done, 300))")

    def middle(self, selector: str, number: int = 0) -> tuple[float, float]:
        """Bring an element into the middle of the window; return the place of its middle."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{number}];"
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return x, y

    def key(self, name: str, code: int, text: str = "") -> None:
        """Press a key."""
        more = {"key": name, "code": name, "windowsVirtualKeyCode": code}
        self.send("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **more)
        self.send("Input.dispatchKeyEvent", type="keyUp", **more)

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write a screenshot of the page, or of the window."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole))
        path.write_bytes(base64.b64decode(answer["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def pdf(self) -> bytes:
        """Return the page as it is printed."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=False)["data"])

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the page was opened, uncaught exceptions among them."""
        found = []
        for event in self._events:
            part = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(str(part["exceptionDetails"]))
            elif event["method"] == "Runtime.consoleAPICalled" and part["type"] in ("error", "warning", "assert"):
                found.append(str([value.get("value") for value in part["args"]]))
            elif event["method"] == "Log.entryAdded" and part["entry"]["level"] in ("error", "warning"):
                found.append(part["entry"]["text"])
        return found

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for since the page was opened, but for what the page itself holds."""
        urls = [
            event["params"]["request"]["url"]
            for event in self._events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]


#: Done when every chart has its axes on the screen.
_DRAWN = """new Promise((done, fail) => {
  const charts = document.querySelectorAll('.chart').length, begun = Date.now();
  const look = () => {
    const drawn = window.Bokeh ? window.Bokeh.documents.flatMap((d) => d.roots()).length : 0;
    const idle = !window.Bokeh || window.Bokeh.documents.every((d) => d.is_idle);
    if (drawn >= charts && idle) requestAnimationFrame(() => requestAnimationFrame(done));
    else if (Date.now() - begun > 20000) fail(`${drawn} of ${charts} charts are drawn`);
    else setTimeout(look, 20);
  };
  look();
})"""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests; they are skipped where there is none."""
    binary = next((path for path in map(shutil.which, NAMES) if path), None)
    if binary is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    profile = tmp_path_factory.mktemp("profile")
    options = [
        "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", "--no-first-run", "--no-sandbox",
        "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--disable-extensions", "--hide-scrollbars", "--force-color-profile=srgb", "about:blank",
    ]  # fmt: skip
    process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    socket = None
    try:
        port = _port(profile / "DevToolsActivePort", process)
        socket = loop.run_until_complete(_connected(port))
        yield Browser(socket, loop)
    finally:
        if socket is not None:
            socket.close()
            loop.run_until_complete(asyncio.sleep(0.05))
        process.terminate()
        process.wait(PATIENCE)
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _port(file: Path, process: subprocess.Popen) -> int:
    """Wait until the browser has said where it listens."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if file.is_file() and len(lines := file.read_text().splitlines()) == 2:
            return int(lines[0])
        time.sleep(0.02)
    raise RuntimeError(f"Chromium does not listen within {PATIENCE} s (status {process.poll()}).")


async def _connected(port: int) -> WebSocketClientConnection:
    """Connect to the first tab."""
    from tornado.httpclient import AsyncHTTPClient

    answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json")
    tab = next(tab for tab in json.loads(answer.body) if tab["type"] == "page")
    return await websocket_connect(tab["webSocketDebuggerUrl"], max_message_size=1 << 28)
