"""One picture: a bar for each row, how many times as long the fastest peer takes."""
import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as pyplot  # noqa: E402

import rows
from summary import verdict

COLOURS = {"f32": "#2b6cb0", "bf16": "#2f855a", "int8": "#b7791f", "other": "#6b46c1"}


def bars(results):
    for row in rows.all_rows():
        measured = results["rows"].get(row.name)
        found = verdict(row, measured) if measured and "engines" in measured else None
        if found:
            yield row, found


def draw(path, results):
    matplotlib.rcParams.update({"svg.hashsalt": "vitrail", "svg.fonttype": "none"})
    chosen = list(bars(results))
    if not chosen:
        return
    figure, axes = pyplot.subplots(figsize=(9, 0.8 + 0.32 * len(chosen)))
    for place, (row, found) in enumerate(chosen):
        kind = row.precision if row.kind == "inference" else "other"
        axes.barh(place, found.ratio, color=COLOURS[kind], height=0.72)
        axes.plot([row.target] * 2, [place - 0.42, place + 0.42], color="black", linewidth=1.6)
        low, high = found.ratio_spread
        axes.plot([low, high], [place, place], color="#222", linewidth=0.8)
        axes.text(0.02, place, f"{found.ratio:.2f}  {found.peer}", va="center", fontsize=8,
                  color="white")
    axes.axvline(1, color="#888", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(chosen)), [row.title for row, _ in chosen], fontsize=8)
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set_xlim(0, max(max(f.ratio_spread[1], r.target) for r, f in chosen) * 1.05)
    axes.set_xlabel("time of the fastest peer / time of Vitrail (right of the dashed line, Vitrail "
                    "is faster; black tick: target)", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
