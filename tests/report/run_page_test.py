#!/usr/bin/env python3
"""The page of a training run in a real browser: its numbers are those of the run's files, its maps
those of vitrail explain, and every reader can see it (page_checks.py).

usage: run_page_test.py VITRAIL SOURCE_DIR

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
from page_checks import (  # noqa: E402
    DESK, every_window_and_scheme, expect_quiet, focus, key, names, point_at,
    press, show, texts)

TOLERANCE = 1e-5
DATA = "scenes:size=32,count=128,val=32,test=64"


def run(*arguments, status=0):
    result = subprocess.run([str(vitrail), *map(str, arguments)], capture_output=True, text=True,
                            check=False)
    assert result.returncode == status, (arguments, result.stderr)
    return result.stdout


def check_charts(browser, metrics):
    steps = [line for line in metrics if line["kind"] == "step"]
    epochs = [line for line in metrics if line["kind"] == "epoch"]
    expected = {"loss": lambda line: f"{line['loss']:.4g}",
                "accuracy": lambda line: f"{100 * line['accuracy']:.2f}%"}
    assert browser.evaluate("document.querySelectorAll('.chart').length") >= 5
    for chart, text in expected.items():
        readout = f"[data-chart='{chart}'] output"
        focus(browser, f"[data-chart='{chart}'] .plot")
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
    focus(browser, "#matrix td")
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
    check_heat(browser, shown)


def check_heat(browser, shown):
    """Pictures come first; heat comes to one by button, picture, mouse or key, and to all."""
    def mapped():
        return [i for i, item in enumerate(browser.evaluate("window.vitrail.shown"))
                if item["mapped"]]

    def heats():
        return [name for name in names(browser, "image", "img") if name.startswith("Heat of ")]

    everything = list(range(len(shown)))
    assert mapped() == [] and heats() == [], "a picture comes with heat that nobody asked for"
    assert names(browser, "button").count(f"Heat over {shown[0]['id']}") == 1
    press(browser, "#gallery figure:nth-child(2) .heat-button")
    assert mapped() == [1]
    assert len(heats()) == 1 and f"all layers over {shown[1]['id']}, strongest on" in heats()[0]
    press(browser, "#gallery figure:nth-child(3) .stack")
    assert mapped() == [1, 2]
    # The mouse shows the heat for as long as it stays; a press there keeps it, another ends it.
    point_at(browser, "#gallery figure:nth-child(1) .stack")
    assert mapped() == [0, 1, 2]
    point_at(browser, "#pictures-title")
    assert mapped() == [1, 2]
    press(browser, "#gallery figure:nth-child(3) .stack")
    assert mapped() == [1]
    focus(browser, "#gallery figure:nth-child(2) .heat-button")
    key(browser, "Enter")
    assert mapped() == []
    key(browser, "Enter")
    assert mapped() == [1]
    pressed = "[...document.querySelectorAll('[data-map]')].map((b) => b.ariaPressed)"
    assert browser.evaluate(pressed) == ["false", "false", "false"], "pictures differ"
    press(browser, "[data-map='rollout']")
    assert mapped() == everything and browser.evaluate(pressed) == ["false", "true", "false"]
    first = browser.evaluate("document.querySelector('#gallery canvas').toDataURL()")
    press(browser, "[data-map='last']")
    assert mapped() == everything and len(heats()) == len(everything)
    assert browser.evaluate("document.querySelector('#gallery canvas').toDataURL()") != first
    press(browser, "[data-map='none']")
    assert mapped() == [] and browser.evaluate(pressed) == ["true", "false", "false"]


def check_mistakes(browser, judged):
    """A mistake says what was answered, what is true, and how probable the model found each."""
    for figure, mistake in zip(range(1, len(judged) + 1), judged):
        said = texts(browser, f"#gallery figure:nth-child({figure}) .class > span")
        assert said[0] == f"answer {mistake['answer']}", (said, mistake)
        assert said[2] == f"truth {mistake['label']}", (said, mistake)
        for text, of in ((said[1], "answer_probability"), (said[3], "label_probability")):
            error = abs(float(text.rstrip("%")) - 100 * mistake[of])
            assert error <= 5 * mistake[of], (text, mistake)


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
        every_window_and_scheme(browser, page)
        state = browser.evaluate("document.getElementById('state').dataset.state")
        assert state == ("diverged" if name == "broken" else "stopped"), (name, state)
        charts = browser.evaluate("document.querySelectorAll('.chart').length")
        assert charts == {"young": 0, "broken": 2, "mae": 1}[name], (name, charts)
        assert "--resume" in texts(browser, "#commands")[0]


def check_without_answers(browser, folder):
    """A method without labels has no mistakes: its attention is what there is to see."""
    model = folder / "runs" / "features"
    run("train", "--data", DATA, "--out", model, "--method", "mae", "--epochs", 1, "--batch", 32,
        "--arch", "vit_lite_2_4", "--set", "warmup_epochs=0")
    page = model / "report.html"
    every_window_and_scheme(browser, page)
    show(browser, page, DESK, "dark")
    shown = browser.evaluate("window.vitrail.shown")
    assert shown and all(item["mapped"] for item in shown)
    assert texts(browser, "#pictures-title") == ["Where attention goes"]
    assert texts(browser, "#gallery .class") == []


def main():
    if find_chromium() is None:
        print("skipped: chromium is not installed")
        return 77
    with tempfile.TemporaryDirectory() as place, Browser() as browser:
        folder = pathlib.Path(place)
        model = folder / "runs" / "small"
        run("train", "--data", DATA, "--out", model, "--epochs", 2, "--batch", 16, "--log-steps", 2,
            "--set", "warmup_epochs=0")
        page = model / "report.html"
        metrics = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
        every_window_and_scheme(browser, page)
        show(browser, page, DESK, "light")
        assert texts(browser, "#name") == ["small"]
        assert texts(browser, "#notes li") == []
        check_charts(browser, metrics)
        judged = json.loads(run("eval", DATA, "--split", "test", "--model", model, "--json",
                                "--mistakes", 3))
        check_tables(browser, judged)
        check_mistakes(browser, judged["mistakes"])
        check_maps(browser, model, folder)
        assert len(texts(browser, "#sample-grid figure")) == 24
        browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert browser.evaluate("[...document.querySelectorAll('details')].every((d) => d.open)")
        expect_quiet(browser, page)

        # An evaluation alone: the same page without a run's sections.
        page = folder / "evaluation.html"
        run("eval", DATA, "--split", "val", "--model", model, "--report", page)
        every_window_and_scheme(browser, page)
        assert browser.evaluate("document.getElementById('curves').hidden")
        assert not browser.evaluate("document.getElementById('confusion').hidden")
        check_young_and_broken(browser, folder)
        check_without_answers(browser, folder)
    print("the page of a run: charts, tables and maps as the files and vitrail explain have them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
