#!/usr/bin/env python3
"""The page of vitrail explain in a real browser: what clicks show is what the engine computed.

usage: explain_page_test.py VITRAIL SOURCE_DIR [MODEL PICTURE]

Exits with 77, which ctest takes as skipped, where Chromium is absent.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

vitrail, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sys.path.insert(0, str(source / "tests/tools"))
from browser import Browser, find_chromium  # noqa: E402
from smaller_page import rewrite  # noqa: E402

TOLERANCE = 1e-5
GOLDENS = source / "tests/golden/models"
PICTURE = source / "tests/golden/image/jpeg_444_baseline.jpg"
# A class token, registers, a distillation token.
MODELS = [GOLDENS / "timm/augreg", GOLDENS / "timm/dinov2_reg4", GOLDENS / "timm/deit_distilled"]


def explain(model, picture, page, rows):
    command = [str(vitrail), "explain", str(picture), "--model", str(model), "--page", str(page),
               "--json", "--threads", "1"]
    for row in rows:
        command += ["--rows", ":".join(map(str, row))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def expect_row(shown, expected, what):
    assert len(shown) == len(expected), f"{what}: {len(shown)} values, not {len(expected)}"
    error = max(abs(a - b) for a, b in zip(shown, expected))
    assert error <= TOLERANCE, f"{what}: differs by {error}"


def press(browser, selector):
    """A real click in the middle of an element."""
    place = browser.evaluate(f"""(() => {{
        const target = document.querySelector({json.dumps(selector)});
        target.scrollIntoView({{block: 'center'}});
        const box = target.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    browser.click(*place)


def click_patch(browser, data, patch):
    """A real click in the middle of a patch on the photo."""
    place = browser.evaluate("""(() => {
        const stage = document.getElementById('stage');
        stage.scrollIntoView({block: 'center'});
        const box = stage.getBoundingClientRect();
        return [box.x, box.y, box.width, box.height];
    })()""")
    width, height = browser.evaluate(
        "(async () => { const i = new Image(); i.src = JSON.parse(document.getElementById('data')"
        ".textContent).photo.source; await i.decode(); return [i.naturalWidth, i.naturalHeight]; "
        "})()")
    x0, y0, x1, y1 = data["box"]
    columns, rows = data["layout"]["columns"], data["layout"]["rows"]
    x = x0 + (patch % columns + 0.5) * (x1 - x0) / columns
    y = y0 + (patch // columns + 0.5) * (y1 - y0) / rows
    browser.click(place[0] + x / width * place[2], place[1] + y / height * place[3])


def check_page(browser, model, picture, folder):
    page = folder / "page.html"
    first = explain(model, picture, page, [])
    grid = first["rollout"]["grid_height"] * first["rollout"]["grid_width"]
    prefix = len(first["rollout"]["prefix"])
    browser.open(page)
    browser.wait_for("document.body.dataset.ready === 'true'")
    data = json.loads(browser.evaluate(
        "(() => { const d = JSON.parse(document.getElementById('data').textContent);"
        "return JSON.stringify({box: d.box, layout: d.layout, total: d.attention.total, "
        "heads: d.attention.layers[0].heads, precision: d.attention.precision}); })()"))
    assert data["precision"] == "f32", "a small picture is stored exactly"
    last, heads = data["total"] - 1, data["heads"]
    patches = sorted({0, grid // 3, grid // 2, grid - 1})
    wanted = [(layer, head, prefix + patch) for layer in sorted({0, last})
              for head in sorted({0, heads - 1}) for patch in patches]
    wanted += [(last, head, token) for token in range(prefix) for head in range(heads)]
    expected = explain(model, picture, page, wanted)

    shown = browser.evaluate("window.vitrail.shown")
    assert shown["mode"] == "rollout", shown["mode"]
    expect_row(shown["row"], expected["rollout"]["prefix"] + expected["rollout"]["patches"],
               "rollout")

    for (layer, head, token), entry in zip(wanted, expected["rows"]):
        if token >= prefix:
            click_patch(browser, data, token - prefix)
        else:
            press(browser, f"#tokens [data-value='{token}']")
        press(browser, f"#layers [data-value='{layer}']")
        press(browser, f"#heads [data-value='{head}']")
        shown = browser.evaluate("window.vitrail.shown")
        # Counted as in --rows, which is asked for the same.
        caption = browser.evaluate("document.getElementById('caption').textContent")
        assert caption.startswith(f"Layer {layer}, head {head}:"), caption
        at = (shown["layer"], shown["head"], shown["token"])
        assert at == (layer, head, token), f"shows {at}, not {(layer, head, token)}"
        expect_row(shown["row"], entry["row"], f"layer {layer}, head {head}, token {token}")

    press(browser, "#heads [data-value='mean']")
    token = browser.evaluate("window.vitrail.shown.token")
    rows = explain(model, picture, page, [(last, head, token) for head in range(heads)])["rows"]
    mean = [sum(values) / heads for values in zip(*(entry["row"] for entry in rows))]
    expect_row(browser.evaluate("window.vitrail.shown.row"), mean, "mean of heads")

    # Arrow keys move from patch to patch.
    click_patch(browser, data, 0)
    browser.evaluate("document.getElementById('stage').dispatchEvent("
                     "new KeyboardEvent('keydown', {key: 'ArrowDown'}))")
    token = browser.evaluate("window.vitrail.shown.token")
    assert token == prefix + data["layout"]["columns"], f"the arrow key went to token {token}"
    # Switches redraw; whatever they throw is found below.
    for selector in ("#smooth", "#grid", "#mode-rollout"):
        press(browser, selector)
    assert browser.evaluate("window.vitrail.shown.mode") == "rollout"

    fetched = [url for url in browser.requests
               if not url.startswith("data:") and url != page.resolve().as_uri()]
    assert not fetched, f"the page fetched {fetched}"
    assert not browser.exceptions, browser.exceptions
    assert not browser.console, browser.console
    print(f"{model.name}: rollout, {len(wanted)} rows and the mean of heads as computed")


def check_smaller_page(browser, folder):
    """What a large model's page shows, whose patches share queries and keys."""
    page = folder / "page.html"
    explain(MODELS[1], PICTURE, page, [])
    for cell in (1, 2):
        text, expected = rewrite(page.read_text(), cell)
        smaller = folder / f"cells{cell}.html"
        smaller.write_text(text)
        browser.open(smaller)
        browser.wait_for("document.body.dataset.ready === 'true'")
        layout = json.loads(text[text.index('id="data">') + 10:text.rindex("</script>\n<script>")])
        prefix, patches = len(layout["layout"]["prefix"]), \
            layout["layout"]["rows"] * layout["layout"]["columns"]
        for patch in (0, patches // 2, patches - 1):
            click_patch(browser, layout, patch)
            press(browser, "#layers [data-value='0']")
            press(browser, "#heads [data-value='1']")
            shown = browser.evaluate("window.vitrail.shown")
            assert shown["token"] == prefix + patch, shown["token"]
            expect_row(shown["row"], expected(0, 1, prefix + patch), f"patch {patch}")
        assert not browser.exceptions, browser.exceptions
    print("half precision and shared keys are read as they are written")


def main():
    if find_chromium() is None:
        print("skipped: chromium is not installed; tools/setup --test installs it")
        return 77
    jobs = [(pathlib.Path(sys.argv[3]), sys.argv[4])] if len(sys.argv) > 4 else \
        [(model, PICTURE) for model in MODELS]
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        for model, picture in jobs:
            check_page(browser, model, picture, pathlib.Path(folder))
        check_smaller_page(browser, pathlib.Path(folder))
    return 0


sys.exit(main())
