"""What every page must hold in a real browser, whatever it shows: it fits a desk's window and a
phone's, reads in light and in dark, can be used with a finger and with the keyboard, and tells a
screen reader what it draws."""
import json

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844, "phone": True}
FINGER = 44  # CSS pixels that a finger needs
# Roles that say nothing without a name.
NAMED = {"application", "button", "checkbox", "columnheader", "DisclosureTriangle", "grid", "image",
         "img", "link", "region", "slider", "table"}

# Texts whose contrast with what is behind them is below WCAG AA. Colours are read from pixels, as
# computed styles have several notations.
FAINT_TEXTS = """(() => {
  const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1})
      .getContext('2d', {willReadFrequently: true});
  const colour = (style) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = style;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return {rgb: [r, g, b], alpha: a / 255};
  };
  const over = (top, below) => top.rgb.map((c, i) => c * top.alpha + below[i] * (1 - top.alpha));
  const ground = (element) => {
    const own = element ? colour(getComputedStyle(element).backgroundColor)
                        : {rgb: [255, 255, 255], alpha: 1};
    return own.alpha === 1 ? own.rgb : over(own, ground(element.parentElement));
  };
  const luminance = (rgb) => rgb.map((c) => c / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || element.closest('script, noscript, :disabled')) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = colour(element.closest('svg') ? style.fill : style.color);
    if (ink.alpha === 0) continue;
    let opacity = 1;
    for (let each = element; each; each = each.parentElement)
      opacity *= getComputedStyle(each).opacity;
    ink.alpha *= opacity;
    const behind = ground(element);
    const [light, dark] = [luminance(over(ink, behind)), luminance(behind)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
    ++count;
  }
  return {faint, count};
})()"""

SMALL_TARGETS = f"""[...document.querySelectorAll('button, a, summary, label, input[type=range]')]
    .filter((e) => e.checkVisibility() && !e.closest('svg'))
    .map((e) => [e.getBoundingClientRect(), e])
    .filter(([box]) => box.width < {FINGER} - 0.5 || box.height < {FINGER} - 0.5)
    .map(([box, e]) => `${{e.outerHTML.slice(0, 80)}}: ${{box.width}} x ${{box.height}}`)"""


def show(browser, page, window, scheme):
    """Opens the page in a window like DESK or PHONE, for a reader who prefers light or dark."""
    browser.appear(**window, scheme=scheme)
    browser.requests.clear()
    browser.open(page)
    browser.wait_for("document.body.dataset.ready === 'true'")


def expect_quiet(browser, page):
    fetched = [url for url in browser.requests
               if not url.startswith("data:") and url != page.resolve().as_uri()]
    assert not fetched, f"the page fetched {fetched}"
    assert not browser.exceptions, browser.exceptions
    assert not browser.console, browser.console


def names(browser, *roles):
    """What a screen reader calls the elements of these roles."""
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    return [node.get("name", {}).get("value", "") for node in nodes
            if not node["ignored"] and node["role"]["value"] in roles]


def check_readable(browser, what):
    texts = browser.evaluate(FAINT_TEXTS)
    assert not texts["faint"], f"{what}: too little contrast: {texts['faint']}"
    assert texts["count"] > 10, f"{what}: looked at {texts['count']} texts alone"
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    nameless = [node["role"]["value"] for node in nodes if not node["ignored"] and
                node["role"]["value"] in NAMED and not node.get("name", {}).get("value")]
    assert not nameless, f"{what}: without a name for screen readers: {nameless}"
    bare = browser.evaluate(
        "[...document.querySelectorAll('table')].filter((t) => t.rows.length > 0 && "
        "!t.caption?.textContent).map((t) => t.id)")
    assert not bare, f"{what}: tables without a caption: {bare}"
    silent = browser.evaluate("[...document.images].filter((i) => !i.alt).length")
    assert silent == 0, f"{what}: {silent} pictures without a text"
    canvases = browser.evaluate(
        "[...document.querySelectorAll('canvas')].filter((c) => c.checkVisibility() && "
        "c.ariaHidden !== 'true' && !(c.getAttribute('role') === 'img' && c.ariaLabel)).length")
    assert canvases == 0, f"{what}: {canvases} canvases without a name"


def every_window_and_scheme(browser, page):
    """Leaves the page as a dark phone shows it."""
    grounds = {}
    for window in (DESK, PHONE):
        for scheme in ("light", "dark"):
            what = f"{page.name}, {window['width']} wide, {scheme}"
            show(browser, page, window, scheme)
            wide = browser.evaluate("document.documentElement.scrollWidth")
            assert wide <= window["width"], f"{what}: {wide} wide"
            grounds[scheme] = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            assert browser.evaluate("getComputedStyle(document.body).colorScheme") == scheme
            check_readable(browser, what)
            if window is PHONE:
                small = browser.evaluate(SMALL_TARGETS)
                assert not small, f"{what}: too small for a finger: {small}"
            expect_quiet(browser, page)
    assert grounds["light"] != grounds["dark"], grounds
    # Paper is light, whatever the reader prefers on screens.
    browser.call("Emulation.setEmulatedMedia", media="print",
                 features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    check_readable(browser, f"{page.name} on paper")
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def middle(browser, selector):
    """The middle of an element, scrolled into view."""
    return browser.evaluate(f"""(() => {{
        const target = document.querySelector({json.dumps(selector)});
        target.scrollIntoView({{block: 'center'}});
        const box = target.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")


def press(browser, selector):
    """A real click in the middle of an element."""
    browser.click(*middle(browser, selector))


def point_at(browser, selector):
    """The mouse in the middle of an element."""
    x, y = middle(browser, selector)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)


def key(browser, name, shift=False):
    """A real key for what has the focus."""
    text = {"text": "\r"} if name == "Enter" else {}
    code = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13,
            "Escape": 27, "Home": 36, "End": 35, "Tab": 9}[name]
    browser.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name,
                 windowsVirtualKeyCode=code, modifiers=8 if shift else 0, **text)
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name,
                 windowsVirtualKeyCode=code, modifiers=8 if shift else 0)


def focus(browser, selector):
    browser.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")


def texts(browser, selector):
    return browser.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")
