#!/usr/bin/env python3
"""The page of a training run in a real browser: its numbers are those of the run's files, its maps
those of vitrail explain, at a desk's width and at a phone's, light and dark.

usage: run_page_test.py VITRAIL SOURCE_DIR [PAGE.html FOLDER]   (screenshots of a page into FOLDER)

Exits with 77, which ctest takes as skipped, where Chromium is absent.
"""
import base64
import json
import pathlib
import subprocess
import sys
import tempfile

vitrail, source = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
sys.path.insert(0, str(source / "tests/tools"))
from browser import Browser, find_chromium  # noqa: E402

TOLERANCE = 1e-5
DATA = "scenes:size=32,count=128,val=32,test=64"


def run(*arguments, status=0):
    result = subprocess.run([str(vitrail), *map(str, arguments)], capture_output=True, text=True,
                            check=False)
    assert result.returncode == status, (arguments, result.stderr)
    return result.stdout


def show(browser, page, width, scheme):
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900,
                 deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.requests.clear()
    browser.open(page)
    browser.wait_for("document.body.dataset.ready === 'true'")


def expect_quiet(browser, page):
    fetched = [url for url in browser.requests
               if not url.startswith("data:") and url != page.resolve().as_uri()]
    assert not fetched, f"the page fetched {fetched}"
    assert not browser.exceptions, browser.exceptions
    assert not browser.console, browser.console


def every_width_and_scheme(browser, page):
    grounds = {}
    for width in (1280, 400):
        for scheme in ("light", "dark"):
            show(browser, page, width, scheme)
            wide = browser.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{page.name} is {wide} wide in a window of {width}"
            grounds[scheme] = browser.evaluate("getComputedStyle(document.body).backgroundColor")
            expect_quiet(browser, page)
    assert grounds["light"] != grounds["dark"], grounds


def press(browser, selector):
    """A real click in the middle of an element."""
    place = browser.evaluate(f"""(() => {{
        const target = document.querySelector({json.dumps(selector)});
        target.scrollIntoView({{block: 'center'}});
        const box = target.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    browser.click(*place)


def key(browser, name):
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)


def texts(browser, selector):
    return browser.evaluate(
        f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")


def check_charts(browser, metrics):
    steps = [line for line in metrics if line["kind"] == "step"]
    epochs = [line for line in metrics if line["kind"] == "epoch"]
    expected = {"loss": lambda line: f"{line['loss']:.4g}",
                "accuracy": lambda line: f"{100 * line['accuracy']:.2f}%"}
    assert browser.evaluate("document.querySelectorAll('.chart').length") >= 5
    for chart, text in expected.items():
        readout = f"[data-chart='{chart}'] output"
        browser.evaluate(f"document.querySelector(\"[data-chart='{chart}'] svg\").focus()")
        for name, line in (("Home", steps[0]), ("ArrowRight", steps[1]), ("End", steps[-1])):
            key(browser, name)
            words = texts(browser, readout)[0].split(" · ")
            assert words[0].endswith(f"step {line['step']}"), (name, words)
            value = [word for word in words if word.startswith("training ")][0].split()[1]
            assert abs(float(value.rstrip("%")) - float(text(line).rstrip("%"))) < 0.011, \
                (words, line)
        validation = [word for word in texts(browser, readout)[0].split(" · ")
                      if word.startswith("validation ")][0].split()[1]
        assert abs(float(validation.rstrip("%")) - float(text(epochs[-1]["val"]).rstrip("%"))) \
            < 0.011, (validation, epochs[-1])
    # The mouse finds the last point at the right edge.
    place = browser.evaluate("""(() => {
        const picture = document.querySelector("[data-chart='loss'] svg");
        picture.scrollIntoView({block: 'center'});
        const box = picture.getBoundingClientRect();
        return [box.right - 12, box.y + 60];
    })()""")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    assert f"step {steps[-1]['step']}" in texts(browser, "[data-chart='loss'] output")[0]
    before = browser.evaluate("document.querySelector(\"[data-chart='loss'] .line\").outerHTML")
    press(browser, "[data-chart='loss'] input")
    after = browser.evaluate("document.querySelector(\"[data-chart='loss'] .line\").outerHTML")
    assert before != after, "the logarithmic scale draws the same curve"
    assert len(texts(browser, "#epoch-table tbody tr")) == len(epochs)


def check_tables(browser, judged):
    counts = [int(text) for text in texts(browser, "#matrix td")]
    assert sum(counts) == judged["count"], (sum(counts), judged["count"])
    right = [int(text) for text in texts(browser, "#matrix td.right")]
    assert sum(right) == round(judged["top1"] * judged["count"])
    browser.evaluate("document.querySelector('#matrix td').focus()")
    key(browser, "ArrowRight")
    says = texts(browser, "#matrix-readout")[0]
    assert " taken for " in says, says

    def recalls():
        return [float(text.rstrip("%")) for text in
                texts(browser, "#class-table tbody td:nth-child(3)")]
    expected = sorted(round(100 * entry["recall"], 1) for entry in judged["classes"])
    press(browser, "#class-table th:nth-child(3) button")
    assert all(abs(a - b) <= 0.051 for a, b in zip(recalls(), expected)), (recalls(), expected)
    press(browser, "#class-table th:nth-child(3) button")
    assert recalls() == sorted(recalls(), reverse=True)


def check_maps(browser, model, folder):
    """What lies over a picture is what vitrail explain says of that picture."""
    shown = browser.evaluate("window.vitrail.shown")
    sources = browser.evaluate("[...document.querySelectorAll('#gallery img')].map((i) => i.src)")
    assert len(shown) >= 3
    config = json.loads((model / "config.json").read_text())
    depth, heads = find(config, "depth"), find(config, "num_heads")
    for item, address in list(zip(shown, sources))[:3]:
        picture = folder / "picture.png"
        picture.write_bytes(base64.b64decode(address.split(",", 1)[1]))
        answer = json.loads(run("explain", picture, "--model", model, "--json", "--page",
                                folder / "explained.html"))
        rollout = answer["rollout"]
        tokens = len(rollout["prefix"]) + len(rollout["patches"])
        rows = []
        starts = [0] if rollout["prefix"] else range(tokens)
        for token in starts:
            for head in range(heads):
                rows += ["--rows", f"{depth - 1}:{head}:{token}"]
        answer = json.loads(run("explain", picture, "--model", model, "--json", "--page",
                                folder / "explained.html", *rows))
        last = [sum(entry["row"][i] for entry in answer["rows"]) / len(answer["rows"])
                for i in range(tokens)][len(rollout["prefix"]):]
        for name, expected in (("rollout", rollout["patches"]), ("last", last)):
            error = max(abs(a - b) for a, b in zip(item[name], expected, strict=True))
            assert error <= TOLERANCE, f"{item['id']}: {name} differs by {error}"
    assert all(item["mapped"] for item in shown)
    press(browser, "#gallery figure:nth-child(2) .stack")
    mapped = [item["mapped"] for item in browser.evaluate("window.vitrail.shown")]
    assert mapped == [True, False] + [True] * (len(shown) - 2), mapped
    press(browser, "[data-map='none']")
    assert not any(item["mapped"] for item in browser.evaluate("window.vitrail.shown"))
    first = browser.evaluate("document.querySelector('#gallery canvas').toDataURL()")
    press(browser, "[data-map='last']")
    assert all(item["mapped"] for item in browser.evaluate("window.vitrail.shown"))
    assert browser.evaluate("document.querySelector('#gallery canvas').toDataURL()") != first


def find(config, name):
    """A field of the model's configuration, wherever it stands in the file."""
    if name in config:
        return config[name]
    for value in config.values():
        if isinstance(value, dict) and (found := find(value, name)) is not None:
            return found
    return None


def check_young_and_broken(browser, folder):
    """Pages of runs that have little to show, or nothing sound."""
    cases = {
        "young": [],
        "broken": [{"kind": "step", "step": s, "epoch": 0, "loss": None if s > 2 else 2.0 / s,
                    "learning_rate": 1e-3} for s in range(1, 5)],
        "mae": [{"kind": "step", "step": s, "epoch": 0, "loss": 1.0 / s, "accuracy": 0}
                for s in range(1, 5)],
    }
    for name, lines in cases.items():
        place = folder / name
        place.mkdir()
        (place / "train.json").write_text(json.dumps({"epochs": 3, "method": name}))
        (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        run("report", place, "--records-only")
        page = place / "report.html"
        every_width_and_scheme(browser, page)
        state = browser.evaluate("document.getElementById('state').dataset.state")
        assert state == ("diverged" if name == "broken" else "stopped"), (name, state)
        charts = browser.evaluate("document.querySelectorAll('.chart').length")
        assert charts == {"young": 0, "broken": 2, "mae": 1}[name], (name, charts)
        assert "--resume" in texts(browser, "#commands")[0]


def main():
    if find_chromium() is None:
        print("skipped: chromium is not installed")
        return 77
    if len(sys.argv) == 5:
        with Browser() as browser:
            for width in (1280, 400):
                for scheme in ("light", "dark"):
                    show(browser, sys.argv[3], width, scheme)
                    height = browser.evaluate("document.documentElement.scrollHeight")
                    data = browser.call(
                        "Page.captureScreenshot", format="png", captureBeyondViewport=True,
                        clip={"x": 0, "y": 0, "width": width, "height": height, "scale": 1})
                    (pathlib.Path(sys.argv[4]) / f"{width}-{scheme}.png").write_bytes(
                        base64.b64decode(data["data"]))
        return 0
    with tempfile.TemporaryDirectory() as place, Browser() as browser:
        folder = pathlib.Path(place)
        model = folder / "runs" / "small"
        run("train", "--data", DATA, "--out", model, "--epochs", 2, "--batch", 16, "--log-steps", 2,
            "--set", "warmup_epochs=0")
        page = model / "report.html"
        metrics = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
        every_width_and_scheme(browser, page)
        show(browser, page, 1280, "light")
        assert texts(browser, "#name") == ["small"]
        assert texts(browser, "#notes li") == []
        check_charts(browser, metrics)
        judged = json.loads(run("eval", DATA, "--split", "test", "--model", model, "--json"))
        check_tables(browser, judged)
        check_maps(browser, model, folder)
        assert len(texts(browser, "#sample-grid figure")) == 24
        browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert browser.evaluate("[...document.querySelectorAll('details')].every((d) => d.open)")
        expect_quiet(browser, page)

        # An evaluation alone: the same page without a run's sections.
        page = folder / "evaluation.html"
        run("eval", DATA, "--split", "val", "--model", model, "--report", page)
        every_width_and_scheme(browser, page)
        assert browser.evaluate("document.getElementById('curves').hidden")
        assert not browser.evaluate("document.getElementById('confusion').hidden")
        check_young_and_broken(browser, folder)
    print("the page of a run: charts, tables and maps as the files and vitrail explain have them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
