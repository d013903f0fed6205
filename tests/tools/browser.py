#!/usr/bin/env python3
"""Opens a page in a headless Chromium and tells what it does, as JSON. Speaks to it over a pipe: no port, no package.

  browser.py look PAGE.html             uses the page: search, filters, keys, map, paper; console, requests and dialogs
  browser.py shots PAGE.html DIR        pictures: light and dark, 1280 and 800 wide
  browser.py time PAGE.html [TIMES]     milliseconds from the start of opening to the first paint, the load and rest
"""
import base64, fcntl, json, os, pathlib, shutil, subprocess, sys, tempfile, time


class Browser:
    def __init__(self):
        program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        if not program:
            sys.exit("there is no Chromium: install the package chromium")
        self.profile = tempfile.mkdtemp()
        high = lambda fd: fcntl.fcntl(fd, fcntl.F_DUPFD, 20)
        (to_read, to_write), (from_read, from_write) = [tuple(map(high, os.pipe())) for _ in range(2)]

        def connect():
            os.dup2(to_read, 3), os.dup2(from_write, 4)

        words = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-background-networking",
                 "--disable-extensions", "--hide-scrollbars", "--mute-audio", "--disable-dev-shm-usage", f"--user-data-dir={self.profile}"]
        if os.geteuid() == 0:
            words.append("--no-sandbox")
        environment = {**os.environ, "HOME": self.profile}
        self.process = subprocess.Popen([program, *words, "about:blank"], preexec_fn=connect, close_fds=False, env=environment,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read), os.close(from_write)
        self.to, self.of = to_write, os.fdopen(from_read, "rb")
        self.number, self.session, self.events, self.rest = 0, None, [], b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def hear(self):
        while b"\0" not in self.rest:
            piece = os.read(self.of.fileno(), 1 << 20)
            if not piece:
                sys.exit("Chromium went away")
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        if "method" in message:
            self.events.append(message)
            if message["method"] == "Page.javascriptDialogOpening":
                self.say("Page.handleJavaScriptDialog", accept=False)
        return message

    def say(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.to, text):]
        return self.number

    def call(self, method, **params):
        number = self.say(method, **params)
        while True:
            message = self.hear()
            if message.get("id") == number:
                if "error" in message:
                    sys.exit(f"{method}: {message['error']}")
                return message["result"]

    def open(self, page, fragment=""):
        before = len(self.events)
        url = pathlib.Path(page).resolve().as_uri() + fragment
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events[before:]):
            self.hear()
        return url

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            sys.exit(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def size(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def key(self, key):
        codes = {"Enter": 13, "Escape": 27, "ArrowDown": 40, "ArrowRight": 39}
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        code = codes.get(key, ord(key.upper()[0]))
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=text, windowsVirtualKeyCode=code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def mouse(self, x, y, press=False):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        if press:
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, path, whole=False):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        pathlib.Path(path).write_bytes(base64.b64decode(shot["data"]))

    def end(self):
        self.session = None
        self.say("Browser.close")
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.profile, ignore_errors=True)


REST = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now()))))"
SHOWN = "[...document.querySelectorAll('.f')].filter(el => !el.hidden).length"
ROWS = "[...document.querySelectorAll('#map tr[data-i]')].filter(el => !el.hidden).length"


def look(browser, page):
    browser.size(1280, 900)
    url = browser.open(page)
    told = {"title": browser.run("document.title"), "entries": browser.run(SHOWN), "rows": browser.run(ROWS)}
    told["tags"] = browser.run("[...new Set([...document.querySelectorAll('*')].map(el => el.localName))].sort()")
    told["scripts"] = browser.run("document.scripts.length")
    told["handlers"] = browser.run(
        "[...document.querySelectorAll('*')].flatMap(el => el.getAttributeNames()).filter(name => name.startsWith('on') || name === 'style')")
    told["owned"] = browser.run("typeof window.owned")
    told["wide"] = {}
    for width in (1280, 800, 400):
        browser.size(width, 900)
        told["wide"][width] = browser.run("document.documentElement.scrollWidth")
    browser.size(1280, 900)

    # Search by what stands there, and by a host.
    browser.key("/")
    browser.call("Input.insertText", text="ctl-007")
    told["searched"] = {"entries": browser.run(SHOWN), "told": browser.run("document.querySelector('#told').textContent"),
                        "link": browser.run("location.hash")}
    browser.key("Escape")
    told["cleared"] = browser.run(SHOWN)
    browser.key("/")
    browser.call("Input.insertText", text="host-137")
    told["host"] = {"entries": browser.run(SHOWN), "rows": browser.run(ROWS)}
    browser.key("Escape")
    # A filter by the end, with the mouse.
    box = browser.run("(() => { const b = document.querySelector('[data-v=failed]').getBoundingClientRect(); return [b.x + 9, b.y + 9]; })()")
    browser.mouse(*box, press=True)
    told["failed"] = {"entries": browser.run(SHOWN), "pressed": browser.run("document.querySelector('[data-v=failed]').ariaPressed"),
                      "words": browser.run("[...new Set([...document.querySelectorAll('.f:not([hidden])')].map(el => el.dataset.w))]")}
    browser.key("Escape")
    # By keys alone: down two, open.
    browser.key("j"), browser.key("j"), browser.key("Enter")
    told["opened"] = browser.run("[...document.querySelectorAll('.f')].findIndex(el => el.open)")
    # The map tells what is under the cursor, and leads to the finding.
    browser.key("m")
    for key in ["ArrowDown"] * 3 + ["ArrowRight"]:
        browser.key(key)
    told["here"] = browser.run("document.querySelector('#here').textContent")
    browser.key("Enter")
    told["led"] = browser.run("document.activeElement.textContent")
    # A view can be passed on by its address.
    blank(browser)
    browser.open(page, "#w=failed&q=ctl")
    told["passed_on"] = browser.run(SHOWN)
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=True)["data"])
    told["pdf"] = pdf[:5].decode()
    told["pages"] = pdf.count(b"/Type /Page\n") or pdf.count(b"/Type /Page")
    seen = browser.events
    told["requests"] = [event["params"]["request"]["url"] for event in seen if event["method"] == "Network.requestWillBeSent"
                        and not event["params"]["request"]["url"].startswith((url, "about:"))]
    told["dialogs"] = sum(event["method"] == "Page.javascriptDialogOpening" for event in seen)
    errors = [event["params"] for event in seen if event["method"] == "Runtime.exceptionThrown"]
    errors += [event["params"]["entry"] for event in seen if event["method"] == "Log.entryAdded"]
    errors += [event["params"] for event in seen if event["method"] == "Runtime.consoleAPICalled"]
    told["errors"] = errors
    print(json.dumps(told, indent=1))


def blank(browser):
    """Away from the page, so that it is opened anew and not only scrolled."""
    before = len(browser.events)
    browser.call("Page.navigate", url="about:blank")
    while not any(event["method"] == "Page.loadEventFired" for event in browser.events[before:]):
        browser.hear()


def shots(browser, page, directory):
    pathlib.Path(directory).mkdir(parents=True, exist_ok=True)
    for width in (1280, 800):
        for dark in (False, True):
            browser.size(width, 1000, dark)
            browser.open(page)
            browser.run(REST)
            name = f"{directory}/{width}-{'dark' if dark else 'light'}"
            browser.picture(f"{name}.png")
            browser.run("for (const el of [...document.querySelectorAll('.f')].slice(0, 3)) el.open = true")
            tall = min(browser.run("document.documentElement.scrollHeight"), 6000)
            browser.size(width, tall, dark)
            browser.run(REST)
            browser.picture(f"{name}-whole.png")


def measure(browser, page, times):
    browser.size(1280, 900)
    for _ in range(times):
        blank(browser)
        began = time.monotonic()
        browser.open(page)
        rest = browser.run(REST)
        wall = (time.monotonic() - began) * 1000
        load = browser.run("performance.getEntriesByType('navigation')[0].loadEventEnd")
        paint = browser.run("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1")
        print(f"first paint {paint:.0f} ms, loaded {load:.0f} ms, at rest {rest:.0f} ms, seen from outside {wall:.0f} ms", flush=True)


def main():
    what, page = sys.argv[1:3]
    browser = Browser()
    try:
        if what == "look":
            look(browser, page)
        elif what == "shots":
            shots(browser, page, sys.argv[3])
        else:
            measure(browser, page, int(sys.argv[3]) if len(sys.argv) > 3 else 5)
    finally:
        browser.end()


main()
