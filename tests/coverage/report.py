"""docs/COVERAGE.md from what has run. The exit status is 1 where an answer differs or a run died."""
import json
import re
import sys
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

from common import OUT, WORK
from timm_scan import scan

# The modules of timm whose names people use, first; the others are looked at, too.
ASKED = """vision_transformer deit beit eva swin_transformer swin_transformer_v2 cait xcit pvt_v2
vision_transformer_hybrid vision_transformer_relpos vision_transformer_sam hiera tiny_vit mobilevit
levit""".split()


def load(name):
    """The last row of each case."""
    path = OUT / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return list({row["case"]: row for row in rows}.values())


def verdict(row):
    """EQUAL also of a file that leaves something open and is right once it is said."""
    if row.get("advice_verdict") in ("WRONG", "CRASH"):
        return "WRONG"
    if row["verdict"] == "REFUSED" and row.get("advice_verdict") == "EQUAL":
        return "EQUAL"
    return row["verdict"]


def message(row):
    """What the refusal says, without the place."""
    text = re.sub(rf"{WORK}\S*", "FILE", row.get("message", "")).replace("|", "\\|")
    start = text.find("config.json: ")
    return (text[start + 13:] if start >= 0 else text.split(": ", 2)[-1])[:140]


def timm_table(rows):
    """By module: a name is covered by its own comparison or by that of one of equal structure."""
    by_name = defaultdict(set)
    for row in rows:
        by_name[row["name"]].add(verdict(row))
    by_structure = {}
    names = [r for r in scan() if "error" not in r]
    for r in names:
        for v in by_name[r["name"]]:
            by_structure.setdefault((r["module"], r["sig"]), set()).add(v)
    table = defaultdict(Counter)
    for r in names:
        found = by_name[r["name"]] - {"SKIPPED", "UNBUILT"}
        like = by_structure.get((r["module"], r["sig"]), set()) - {"SKIPPED", "UNBUILT"}
        if found & {"WRONG", "CRASH", "HARNESS"}:
            table[r["module"]]["different"] += 1
        elif found == {"EQUAL"}:
            table[r["module"]]["equal"] += 1
        elif not found and like == {"EQUAL"}:
            table[r["module"]]["of equal structure"] += 1
        elif found or (like and not like & {"WRONG", "CRASH", "HARNESS"}):
            table[r["module"]]["refused"] += 1
        else:
            table[r["module"]]["not compared"] += 1
    return table


def lines_of_timm(rows):
    columns = ["equal", "of equal structure", "refused", "different", "not compared"]
    table = timm_table(rows)
    yield "| module | names | " + " | ".join(columns) + " | loaded |"
    yield "|---|---:|" + "---:|" * len(columns) + "---:|"
    for module in [m for m in ASKED if m in table] + sorted(set(table) - set(ASKED)):
        counts = table[module]
        total = sum(counts.values())
        loaded = (counts["equal"] + counts["of equal structure"]) / total
        yield (f"| `{module}` | {total} | " + " | ".join(str(counts[c] or "") for c in columns) +
               f" | {loaded:.0%} |")


def lines_of_cases(rows):
    counts = Counter(verdict(row) for row in rows)
    yield ", ".join(f"{count} {name}" for name, count in counts.most_common()).lower() + "."
    yield ""
    equal = sorted(row["case"] for row in rows if verdict(row) == "EQUAL")
    yield "Equal: " + ", ".join(f"`{name}`" for name in equal) + "."
    yield ""
    alone = sorted(row["case"] for row in rows if verdict(row) == "LOADED?")
    if alone:
        yield ("Loaded, where the library's model gives no one answer to compare (two towers, a "
               "decoder): " + ", ".join(f"`{name}`" for name in alone) + ".")
        yield ""
    yield "| refused | what Vitrail says |"
    yield "|---|---|"
    for row in sorted(rows, key=lambda r: r["case"]):
        if verdict(row) not in ("EQUAL", "LOADED?"):
            yield f"| `{row['case']}` | {message(row) or row['verdict']} |"


def main():
    parts = {name: load(name) for name in ("timm", "hf", "vit_pytorch", "conventions")}
    libraries = ", ".join(f"{name} {version(name)}" for name in
                          ("timm", "transformers", "vit-pytorch", "torch"))
    bad = [f"{part}/{row['case']}: {row['verdict']} {row.get('rel')}"
           for part, rows in parts.items() for row in rows
           if verdict(row) in ("WRONG", "CRASH")]
    worst = max((row["rel"] or 0 for rows in parts.values() for row in rows
                 if row["verdict"] == "EQUAL"), default=0)
    by_own = ", ".join(sorted(f"`{row['case']}`" for rows in parts.values() for row in rows
                              if "as close to float64" in row.get("how", ""))) or "none"
    text = [
        "# Coverage", "",
        "What of timm, transformers and vit-pytorch Vitrail loads and answers alike. Written by "
        "`tests/coverage/run`, which builds each library's models with every parameter drawn at "
        "random, saves them as the library does, and compares the logits (or tokens, of a model "
        "without a head) of one photograph, preprocessing included. Equal is a relative difference "
        f"below 0.001, or where random weights saturate the attention of many blocks, a distance from "
        "float64 of at most three times the library's own, of five float32 runs whose weights "
        f"differ by a rounding ({by_own}); the largest that was seen is {worst:.1e}. A second pass has tokens of small "
        "variance, so that a wrong epsilon shows. Everything else is refused with a line that says "
        "what is missing.", "",
        f"Libraries: {libraries}.", "",
        "Different or ended by a signal: " + (", ".join(bad) if bad else "none") + ".", "",
        "## timm, by module", "",
        "Models above 25 million parameters run with two blocks, and the largest ones narrowed; of "
        "modules other than `vision_transformer` and `deit` the smallest of each structure runs "
        "(names and ranks of parameters, classes of layers, epsilons, pooling). Of a structure "
        "whose smallest is above 150 million parameters the configuration, names and shapes are "
        "asked alone, which a refusal needs no more than.", "",
        *lines_of_timm(parts["timm"]), "",
        "## transformers", "", *lines_of_cases(parts["hf"]), "",
        "## vit-pytorch", "",
        "State dictionaries say nothing but names and shapes; what they leave open is given by "
        "`--set`.", "", *lines_of_cases(parts["vit_pytorch"]), "",
        "## Files", "",
        "How people save models: wrappers, training checkpoints, original releases, precisions, "
        "shards, TorchScript, JAX.", "", *lines_of_cases(parts["conventions"])]
    Path(sys.argv[1]).write_text("\n".join(text) + "\n")
    for line in bad:
        print(f"differs: {line}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
