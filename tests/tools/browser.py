"""Drives a headless Chromium over its debugging pipe, with nothing but Python's standard library.

    with Browser() as browser:
        browser.open("/path/page.html")
        print(browser.evaluate("document.title"))
        browser.click(120, 80)
        browser.screenshot("page.png")

As a program it takes a screenshot: `browser.py PAGE.html SCREENSHOT.png --scheme dark --phone`.

The browser has no network: every request other than to a local file fails. What the page logged,
threw or tried to fetch is in `console`, `exceptions` and `requests`.
"""
import argparse
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import tempfile
import time


class BrowserError(RuntimeError):
    pass


def find_chromium():
    """The browser's path, or None where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


class Browser:
    def __init__(self, width=1280, height=900, timeout=300):
        program = find_chromium()
        if program is None:
            raise BrowserError("chromium is not installed; tools/setup --test installs it")
        self._timeout = timeout
        self._profile = tempfile.mkdtemp(prefix="vitrail-browser-")
        self._next_id = 0
        self._buffer = b""
        self._events = []
        self._session = None
        self.console, self.exceptions, self.requests = [], [], []
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        # The protocol wants descriptors 3 and 4, so a shell puts them there (bash: dash cannot
        # name a descriptor of two digits).
        command = [
            "/bin/bash", "-c", f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}', program,
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--hide-scrollbars", "--no-first-run", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
            f"--window-size={width},{height}", f"--user-data-dir={self._profile}", "about:blank",
        ]
        self._process = subprocess.Popen(
            command, pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        try:
            targets = self.call("Target.getTargets")["targetInfos"]
            page = next(target for target in targets if target["type"] == "page")
            self._session = self.call("Target.attachToTarget", targetId=page["targetId"],
                                      flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network"):
                self.call(domain + ".enable")
            self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                      deviceScaleFactor=1, mobile=False)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        for descriptor in (self._write, self._read):
            os.close(descriptor)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _receive(self, deadline):
        while b"\0" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise BrowserError("chromium did not answer in time")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise BrowserError("chromium ended unexpectedly")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        self._events.append(event)
        method, data = event.get("method"), event.get("params", {})
        if method == "Runtime.consoleAPICalled":
            words = [str(a.get("value", a.get("description"))) for a in data["args"]]
            self.console.append(" ".join(words))
        elif method == "Runtime.exceptionThrown":
            detail = data["exceptionDetails"]
            self.exceptions.append(
                detail.get("exception", {}).get("description", detail["text"]))
        elif method == "Network.requestWillBeSent":
            self.requests.append(data["request"]["url"])

    def call(self, method, **parameters):
        """One command of the DevTools protocol; its result."""
        self._next_id += 1
        message = {"id": self._next_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data):]
        deadline = time.monotonic() + self._timeout
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == self._next_id:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._note(answer)

    def open(self, path):
        """Loads a local file and waits for its load event."""
        url = pathlib.Path(path).resolve().as_uri()
        self._events.clear()
        result = self.call("Page.navigate", url=url)
        if "errorText" in result:
            raise BrowserError(f"{url}: {result['errorText']}")
        deadline = time.monotonic() + self._timeout
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._note(self._receive(deadline))

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in result:
            detail = result["exceptionDetails"]
            raise BrowserError(detail.get("exception", {}).get("description", detail["text"]))
        return result["result"].get("value")

    def wait_for(self, expression, seconds=300):
        """Waits until the expression is true in the page."""
        deadline = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                raise BrowserError(f"the page never reached: {expression}")
            time.sleep(0.05)

    def click(self, x, y):
        """A mouse click at a point of the window, in CSS pixels."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left",
                      clickCount=1)

    def appear(self, width, height, scheme="light", phone=False):
        """The window from now on, and whether the reader prefers light or dark. A phone has a
        finger, no mouse, and lays a page out at its own width. Nothing moves: what is measured
        has arrived."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme},
                            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def screenshot(self, path, whole=False):
        """The window, or the whole page, as a PNG file."""
        parameters = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            parameters = {"captureBeyondViewport": True, "clip": {
                "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        data = self.call("Page.captureScreenshot", format="png", **parameters)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))


def main():
    parser = argparse.ArgumentParser(description="Takes a screenshot of a local page.")
    parser.add_argument("page")
    parser.add_argument("screenshot")
    parser.add_argument("--size", default=None, help="of the window: 1280x900; of a phone 390x844")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--phone", action="store_true", help="a finger instead of a mouse")
    parser.add_argument("--whole", action="store_true", help="all of the page, not the window")
    parser.add_argument("--run", help="JavaScript to run in the page before")
    options = parser.parse_args()
    size = options.size or ("390x844" if options.phone else "1280x900")
    with Browser() as browser:
        browser.appear(*map(int, size.split("x")), options.scheme, options.phone)
        browser.open(options.page)
        if options.run:
            browser.evaluate(options.run)
        time.sleep(1)  # pictures are decoded
        browser.screenshot(options.screenshot, options.whole)


if __name__ == "__main__":
    main()
