"""The rows of a training step: forward, loss, backward, clipping, AdamW."""
import measure
import rows
from engines.vitrail import Vitrail
from worker import Worker


def run(row, options):
    architecture = {"Ti4": "vit_tiny_patch4_32", "Ti16": "vit_tiny_patch16_224"}[row.architecture]
    folder = options.trainable_folder(architecture, row.size)
    ours = Vitrail(options.program, ["--model", folder, "--train", "--batch", row.batch,
                                     "--precision", row.precision, "--threads", options.threads])
    engines = {"Vitrail": ours}
    for engine, variant in row.peers:
        engines[rows.label(engine, variant)] = Worker(
            {"engine": engine, "precision": row.precision, "model": str(folder),
             "size": row.size, "batch": row.batch, "threads": options.threads})
    try:
        result = measure.interleave(engines, "Vitrail", options.rounds, options.seconds)
        for name, engine in engines.items():
            result["engines"][name]["memory"] = engine.memory()
    finally:
        for engine in engines.values():
            engine.close()
    if ours.turns and "peak_gflops" in ours.turns[-1]:
        result["operations"] = 2 * ours.turns[-1]["multiply_adds"] * row.batch
        result["peak_gflops"] = max(turn["peak_gflops"] for turn in ours.turns)
    return result
