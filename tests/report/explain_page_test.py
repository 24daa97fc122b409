#!/usr/bin/env python3
"""The page of vitrail explain in a real browser: what clicks and keys show is what the engine
computed, and every reader can see it (page_checks.py).

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
from page_checks import (  # noqa: E402
    DESK, every_window_and_scheme, expect_quiet, focus, key, names, press, show, texts)
from smaller_page import rewrite  # noqa: E402

TOLERANCE = 1e-5
GOLDENS = source / "tests/golden/models"
PICTURE = source / "tests/golden/image/jpeg_444_baseline.jpg"
# A class token, registers, a distillation token.
MODELS = [GOLDENS / "timm/augreg", GOLDENS / "timm/dinov2_reg4", GOLDENS / "timm/deit_distilled"]

# Shifted and padded windows; a table and a perceptron of positions.
STAGED = [GOLDENS / "swin/shifted", GOLDENS / "swin/padded", GOLDENS / "swin/v2_padded"]


def explain(model, picture, page, rows, *options):
    command = [str(vitrail), "explain", str(picture), "--model", str(model), "--page", str(page),
               "--json", "--threads", "1", *options]
    for row in rows:
        command += ["--rows", ":".join(map(str, row))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def expect_row(shown, expected, what):
    assert len(shown) == len(expected), f"{what}: {len(shown)} values, not {len(expected)}"
    error = max(abs(a - b) for a, b in zip(shown, expected))
    assert error <= TOLERANCE, f"{what}: differs by {error}"


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
    show(browser, page, DESK, "light")
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

    check_keyboard(browser, data, prefix)
    # Switches redraw; whatever they throw is found below.
    for selector in ("#smooth", "#grid", "#mode-rollout"):
        press(browser, selector)
    assert browser.evaluate("window.vitrail.shown.mode") == "rollout"

    expect_quiet(browser, page)
    print(f"{model.name}: rollout, {len(wanted)} rows and the mean of heads as computed")


def check_stages(browser, model, picture, folder):
    """A model with stages: rows on the grid of each layer's stage, and no rollout."""
    page = folder / "page.html"
    first = explain(model, picture, page, [])
    assert "rollout" not in first and "same tokens in every layer" in first["no_rollout"], first
    show(browser, page, DESK, "light")
    data = json.loads(browser.evaluate(
        "(() => { const d = JSON.parse(document.getElementById('data').textContent);"
        "return JSON.stringify({stages: d.stages, of: d.attention.stages, "
        "heads: d.attention.layers.map((layer) => layer.heads)}); })()"))
    assert browser.evaluate("document.getElementById('mode-rollout').disabled")
    assert first["no_rollout"] in browser.evaluate("document.getElementById('no-rollout').textContent")
    wanted = []
    for layer, stage in enumerate(data["of"]):
        grid = data["stages"][stage]
        patches = grid["rows"] * grid["columns"]
        wanted += [(layer, data["heads"][layer] - 1, patch)
                   for patch in sorted({0, patches // 2, patches - 1})]
    expected = explain(model, picture, page, wanted)
    for (layer, head, token), entry in zip(wanted, expected["rows"]):
        stage = data["of"][layer]
        grid = data["stages"][stage]
        assert (entry["stage"], entry["grid_height"], entry["grid_width"]) == \
            (stage, grid["rows"], grid["columns"]), entry
        press(browser, f"#layers [data-value='{layer}']")
        press(browser, f"#heads [data-value='{head}']")
        click_patch(browser, {"box": grid["box"], "layout": grid}, token)
        shown = browser.evaluate("window.vitrail.shown")
        at = (shown["layer"], shown["head"], shown["token"])
        assert at == (layer, head, token), f"shows {at}, not {(layer, head, token)}"
        expect_row(shown["row"], entry["row"], f"layer {layer}, head {head}, token {token}")
        caption = browser.evaluate("document.getElementById('caption').textContent")
        assert f"(stage {stage}, {grid['rows']} × {grid['columns']} patches)" in caption, caption
    # From the last stage back to the first, the chosen patch stays where it was.
    press(browser, "#layers [data-value='0']")
    assert browser.evaluate("window.vitrail.shown.row.length") == \
        data["stages"][0]["rows"] * data["stages"][0]["columns"]
    for selector in ("#smooth", "#grid", "#heads [data-value='mean']"):
        press(browser, selector)
    expect_quiet(browser, page)
    print(f"{model.name}: {len(wanted)} rows of {len(data['stages'])} stages as computed")


def check_keyboard(browser, data, prefix):
    """Arrows move from patch to patch, and the picture's name follows."""
    def shown():
        return browser.evaluate("window.vitrail.shown")

    columns = data["layout"]["columns"]
    click_patch(browser, data, 0)
    assert names(browser, "application") == ["Patches of the picture"]
    first = picture_name(browser)
    key(browser, "ArrowDown")
    assert shown()["token"] == prefix + columns, shown()["token"]
    assert "the patch in row 2, column 1 attends to" in picture_name(browser)
    assert picture_name(browser) != first
    # With Shift a value is read, and nothing is chosen.
    weights = shown()["row"]
    key(browser, "ArrowRight", shift=True)
    assert shown()["token"] == prefix + columns
    place, value = texts(browser, "#readout")[0].split(": ")
    assert place == "row 2, column 2", place
    expected = 100 * weights[prefix + columns + 1]
    assert abs(float(value.rstrip("%")) - expected) < 0.06 * expected, (value, expected)
    key(browser, "Enter")
    assert shown()["token"] == prefix + columns + 1, shown()["token"]
    for name, token in (("End", 2 * columns - 1), ("ArrowRight", 2 * columns - 1),
                        ("Home", columns), ("ArrowUp", 0)):
        key(browser, name)
        assert shown()["token"] == prefix + token, (name, shown()["token"])
    key(browser, "Escape")
    assert shown()["mode"] == "rollout"
    assert "Attention rollout" in picture_name(browser)
    focus(browser, "#heads button")
    key(browser, "Enter")
    assert shown()["head"] == "mean", shown()["head"]


def picture_name(browser):
    """What a screen reader says of the photo: what is shown, and where it is strongest."""
    found = [name for name in names(browser, "image", "img") if "under a map of heat" in name]
    assert len(found) == 1, found
    assert "It is strongest on the patch in row" in found[0], found[0]
    return found[0]


def check_readers(browser, folder):
    """A page with a mask and predictions, as every reader has it before them."""
    page = folder / "page.html"
    run = [str(vitrail), "data", "render", "--seed", "3", "--size", "96", "--out",
           str(folder / "scene.png"), "--mask", str(folder / "mask.png")]
    subprocess.run(run, check=True, capture_output=True)
    explain("scenes", folder / "scene.png", page, [], "--mask", str(folder / "mask.png"))
    every_window_and_scheme(browser, page)
    show(browser, page, DESK, "dark")
    images = names(browser, "image", "img")
    assert sum(name.startswith("Mask of the object") for name in images) == 1, images
    for selector in ("#mode-attention", "#tokens button"):
        press(browser, selector)
    every = names(browser, "image", "img")
    assert any("what the class token attends to" in name for name in every), every
    expect_quiet(browser, page)
    print("every window, scheme and screen reader has the page whole")


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
        for model in STAGED:
            check_stages(browser, model, PICTURE, pathlib.Path(folder))
        check_smaller_page(browser, pathlib.Path(folder))
        check_readers(browser, pathlib.Path(folder))
    return 0


sys.exit(main())
