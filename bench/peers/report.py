"""Writes docs/BENCHMARKS.md from the raw results."""
from statistics import median

import plot
import rows
from summary import contenders, share_of_peak, verdict

INTRODUCTION = """# Benchmarks

How fast Vitrail is beside other engines, on the same weights and the same pictures. This page is generated: `bench/peers/run` sets up the peers, measures and writes it; `bench/peers/run --help` says how to measure a part.

A ratio is the time of the fastest peer divided by ours, so above 1 Vitrail is faster. Engines take turns, each in a process of its own that sleeps while the others run; every turn begins with a run that is not counted. Times are medians; the ratio is the median of the rounds' ratios, with the least and the largest round in brackets. No time counts before the engine's answer agrees with PyTorch's in f32. Absolute times drift between hours and machines; ratios and shares of the peak, measured in the same run, drift little.

![Time of the fastest peer divided by Vitrail's](benchmarks.svg)
"""


def milliseconds(seconds):
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def with_spread(middle, ends):
    return f"{milliseconds(middle)} ({milliseconds(ends[0])}–{milliseconds(ends[1])})"


def table(header, lines):
    rule = "|".join("---" if i == 0 else "---:" for i in range(len(header)))
    return "\n".join([f"| {' | '.join(header)} |", f"|{rule}|",
                      *(f"| {' | '.join(line)} |" for line in lines)]) + "\n"


def mark(met):
    return "met" if met else "**missed**"


def row_lines(row, measured):
    """What is said on the terminal as soon as a row is measured."""
    lines = []
    for name, entry in sorted(contenders(measured).items() if "engines" in measured else [],
                              key=lambda item: median(item[1]["rounds"])):
        share = share_of_peak(measured, median(entry["rounds"]))
        lines.append(f"{name:24} {milliseconds(median(entry['rounds'])):>8} ms  {100 * share:4.0f}%"
                     f"  ‖Δ‖ {entry.get('distance', 0):.1e}"
                     f"  {entry.get('memory', 0) / 1e6:.0f} MB")
    found = verdict(row, measured) if "engines" in measured else None
    if found:
        lines.append(f"ratio {found.ratio:.2f}, target {found.target}: "
                     f"{'met' if found.met else 'missed'}")
    lines += [f"{name}: {value:.3f}" for name, value in measured.get("medians", {}).items()]
    return lines


def measured_rows(results, kind):
    return [(row, results["rows"][row.name]) for row in rows.all_rows()
            if row.kind == kind and row.name in results["rows"]]


def ratio_table(pairs):
    lines = []
    for row, measured in pairs:
        found = verdict(row, measured)
        if not found:
            continue
        target = f"{row.target:g}"
        if row.share_target:
            target += f" or {100 * row.share_target:.0f}%"
        lines.append([row.title, with_spread(found.ours, found.ours_spread),
                      f"{100 * found.share:.0f}%" if found.share else "–",
                      f"{found.peer} {with_spread(found.theirs, found.theirs_spread)}",
                      f"**{found.ratio:.2f}** ({found.ratio_spread[0]:.2f}–"
                      f"{found.ratio_spread[1]:.2f})", target, mark(found.met)])
    return table(["work", "Vitrail, ms", "of the peak", "fastest peer, ms", "ratio", "target", ""],
                 lines)


def engine_table(pairs, cell):
    names = []
    for _, measured in pairs:
        names += [name for name in measured["engines"] if name not in names]
    lines = [[row.title, *(cell(measured["engines"].get(name, {}), measured) for name in names)]
             for row, measured in pairs]
    return table(["", *names], lines)


def time_cell(entry, measured):
    if entry.get("wrong"):
        return "wrong answer"
    if entry.get("failed"):
        return "does not run"
    if not entry.get("rounds"):
        return "–"
    text = milliseconds(median(entry["rounds"]))
    share = share_of_peak(measured, median(entry["rounds"]))
    return f"{text} ({100 * share:.0f}%)" if share else text


def distance_cell(entry, _):
    return f"{entry['distance']:.1e}" if "distance" in entry else "–"


def memory_cell(entry, _):
    return f"{entry['memory'] / 1e6:.0f}" if entry.get("memory") else "–"


def inference_section(results):
    pairs = measured_rows(results, "inference")
    if not pairs:
        return ""
    memory = [pair for pair in pairs if pair[0].name in ("f32-B-1", "f32-B-1024")]
    return "\n".join([
        "## Inference\n", ratio_table(pairs), own_gains(pairs),
        "### Every engine\n",
        "Milliseconds a batch, in brackets the share of the machine's peak of that precision. "
        "\"fused\": the graph with ONNX Runtime's own attention operator, after its optimizer for "
        "transformers. \"compiled\": `torch.compile` with frozen weights. int8 of ONNX Runtime and "
        "PyTorch quantizes activations as they come; OpenVINO's comes from NNCF, weights and "
        "activations, calibrated, the rest in bf16. Who was a third slower than the fastest peer "
        "after the first round took no part in the others.\n",
        engine_table(pairs, time_cell),
        "### Peak memory\n",
        "Peak resident set of the engine's process in MB, for engines in Python with the "
        "interpreter and its libraries. The weights of ViT-B take 346 MB.\n",
        engine_table(memory, memory_cell), memory_targets(memory),
        "### Agreement\n",
        "Length of the difference from PyTorch's f32 logits over the length of the centred "
        "logits.\n", engine_table(pairs, distance_cell)])


def memory_targets(pairs):
    """What Vitrail may take beside the weights."""
    lines = []
    for row, measured in pairs:
        allowed = 346e6 + (60e6 if row.size == 224 else 140e6)
        taken = measured["engines"]["Vitrail"].get("memory", 0)
        if taken:
            lines.append(f"{row.title}: at most {allowed / 1e6:.0f} MB, {mark(taken <= allowed)}")
    return f"Targets: {'; '.join(lines)}.\n" if lines else ""


def step_agreement(pairs):
    """How far the first steps of the peers are from ours."""
    steps = [f"{row.title.removeprefix('training step, ')}: {entry['loss_distance']:.1e} and "
             f"{entry['gradient_distance']:.1e}"
             for row, measured in pairs for entry in measured["engines"].values()
             if "loss_distance" in entry]
    return ("Before the clock starts all take one step from the same weights on the same batch; "
            "the losses and the gradient norms differ by these shares. "
            f"{'; '.join(steps)}.\n") if steps else ""


def own_gains(pairs):
    """bf16 and int8 against our own f32."""
    times = {row.name: median(measured["engines"]["Vitrail"]["rounds"]) for row, measured in pairs
             if measured["engines"].get("Vitrail", {}).get("rounds")}
    gains = []
    for name, seconds in times.items():
        precision, rest = name.split("-", 1)
        if precision != "f32" and f"f32-{rest}" in times:
            gains.append(f"{name} {times[f'f32-{rest}'] / seconds:.2f}")
    return f"Against Vitrail's own f32: {', '.join(gains)}.\n" if gains else ""


def other_sections(results):
    parts = []
    training = measured_rows(results, "train")
    if training:
        parts += ["## Training\n", "One step: forward, loss, backward, clipped gradients, AdamW. "
                  "bf16 is PyTorch's autocast.\n", ratio_table(training),
                  engine_table(training, memory_cell).replace("| |", "| peak memory, MB |", 1),
                  step_agreement(training)]
    rest = measured_rows(results, "pictures") + measured_rows(results, "startup")
    if rest:
        parts += ["## Pictures and start-up\n", ratio_table(rest)]
    for _, measured in measured_rows(results, "startup")[:1]:
        parts.append("int8 is a folder of `vitrail quantize` beside the runtime's quantized graph. "
                     "Of the peer's start, the interpreter and its imports take "
                     f"{milliseconds(measured['interpreter'])} ms. The peer is handed finished "
                     "floats; Vitrail decodes a JPEG and prints classes.\n")
    for _, measured in measured_rows(results, "pictures"):
        parts.append(f"Milliseconds a picture, over {measured['pictures']} photographs; the "
                     "floats are Pillow's to the bit, checked on the logits they give.\n")
    for row, measured in measured_rows(results, "scaling"):
        machine = measured["medians"]["machine"]
        lines = [[name, f"{measured['medians'][key]:.3f}",
                  f"{100 * measured['medians'][key] / machine:.0f}%",
                  mark(measured["medians"][key] >= row.target * machine)]
                 for name, key in (("two threads / one", "threads"),
                                   ("two one-thread processes / one", "sessions"))]
        parts += ["## Two cores\n", f"{row.title.split(';')[1].strip()}, pictures a second. The "
                  f"machine's own peak grows by {machine:.3f} with the second thread; the target "
                  "is 95% of that.\n", table(["", "ratio", "of the machine's", ""], lines)]
    return parts


def gemm_section(results):
    pairs = measured_rows(results, "gemm")
    if not pairs:
        return ""
    groups = pairs[0][1]["gemm"]["groups"]
    lines = []
    for group in groups:
        worst = min(group["shapes"], key=lambda shape: shape["ratio"])
        shares = [shape["share_of_peak"] for shape in group["shapes"]]
        lines.append([f"{group['precision']}, {group['threads']} thread"
                      f"{'s' if group['threads'] > 1 else ''}",
                      f"**{group['geometric_mean']:.2f}**", f"{group['minimum']:.2f}",
                      worst["shape"], f"{group['geometric_mean_alone']:.2f}",
                      f"{group['minimum_alone']:.2f}",
                      f"{100 * median(shares):.0f}% ({100 * min(shares):.0f}–"
                      f"{100 * max(shares):.0f}%)",
                      mark(group["geometric_mean"] >= 1 and group["minimum"] >= 0.93)])
    return "\n".join([
        "## Matrix products against oneDNN\n",
        "`bench_gemm`: the products of ViT-Ti, S and B, batch 1 and 8, weights packed beforehand, "
        "bias added, in turns within one process. Ours takes activations in f32 and converts them "
        "on the way in (int8: finds each token's scale and quantizes), so oneDNN does its own "
        "conversion from f32 first (int8: with one scale that it is told). Beside it, \"alone\": "
        "oneDNN with activations converted before the clock started, against ours with the "
        "conversion. Target: geometric mean 1.0, none below 0.93.\n",
        table(["", "geometric mean", "least", "at", "mean, alone", "least, alone",
               "share of the peak, median", ""], lines)])


def rounds_text(results):
    """Who reads a ratio wants to know from how many rounds it is."""
    rounds = {}
    for row in rows.all_rows():
        if row.name in results["rows"]:
            rounds.setdefault(results["rows"][row.name]["rounds_asked"], []).append(row.name)
    most = max(rounds)
    text = f"- {most} rounds"
    for count in sorted(rounds.keys() - {most}):
        text += f"; {count} for {', '.join(rounds[count])}"
    return text


def machine_section(results):
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    dates = sorted({measured["date"] for measured in results["rows"].values()})
    threads = sorted({measured["threads"] for measured in results["rows"].values()})
    peaks = {}
    onednn = ""
    disturbance = max((m.get("disturbance", 0) for m in results["rows"].values()), default=0)
    for measured in results["rows"].values():
        onednn = measured.get("gemm", {}).get("onednn", onednn)
        for group in measured.get("gemm", {}).get("groups", []):
            peaks[group["precision"], group["threads"]] = group["peak_gflops"]
    peak_text = "; ".join(f"{precision} {value:.0f}" for (precision, count), value in peaks.items()
                          if count == max(threads))
    return "\n".join([
        "## Where and when\n",
        f"- {machine['cpu']}, {machine['cores']} cores of it, {machine['memory_gib']} GiB, "
        f"{', '.join(machine['features'])}; {machine['system']}; a virtual machine on shared "
        "hardware",
        f"- {max(threads)} threads for every engine" +
        (f"; measured peak in GFLOP/s: {peak_text}" if peak_text else ""),
        f"- {' to '.join(dict.fromkeys((dates[0], dates[-1])))}; Python {machine['python']}, "
        f"{versions}" + (f"; Debian's oneDNN {onednn}" if onednn else ""),
        rounds_text(results),
        f"- while one engine ran, those that waited used at most {100 * disturbance:.0f}% of a core",
        ""])


def write(folder, results):
    if not results["rows"]:
        return
    folder.mkdir(parents=True, exist_ok=True)
    parts = [INTRODUCTION, machine_section(results), inference_section(results),
             *other_sections(results), gemm_section(results)]
    (folder / "BENCHMARKS.md").write_text("\n".join(part for part in parts if part))
    plot.draw(folder / "benchmarks.svg", results)
