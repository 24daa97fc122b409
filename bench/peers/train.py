"""The rows of a training step: forward, loss, backward, clipping, AdamW."""
import sys

import numpy

import measure
import models
import rows
from engines.vitrail import Vitrail
from worker import Worker


def write_pictures(spec):
    path = models.input_path(spec)
    if not path.exists():
        shape = (spec["batch"], 3, spec["size"], spec["size"])
        numpy.save(path, numpy.random.default_rng(0).standard_normal(shape, numpy.float32))


def check_first_steps(engines, truth, tolerance, folder):
    """Of the same weights and pictures. Closes and removes peers whose loss or gradient is another;
    returns by how much of ours they differ."""
    found = {}
    for name, engine in list(engines.items()):
        path = folder / "first-step.npy"
        engine.answer(path)
        loss, norm = (abs(theirs - ours) / abs(ours)
                      for theirs, ours in zip(numpy.load(path), truth))
        path.unlink()
        found[name] = {"loss_distance": float(loss), "gradient_distance": float(norm)}
        wrong = not max(loss, norm) <= tolerance
        print(f"  {name}: {'wrong, ' if wrong else ''}its first step's loss {loss:.1e} from ours, "
              f"gradient norm {norm:.1e}", file=sys.stderr)
        if wrong:
            found[name]["wrong"] = True
            engines.pop(name).close()
    return found


def run(row, options):
    architecture = {"Ti4": "vit_tiny_patch4_32", "Ti16": "vit_tiny_patch16_224"}[row.architecture]
    folder = options.trainable_folder(architecture, row.size)
    spec = {"precision": row.precision, "model": str(folder), "size": row.size,
            "batch": row.batch, "threads": options.threads}
    write_pictures(spec)
    ours = Vitrail(options.program, ["--model", folder, "--train",
                                     "--input", models.input_path(spec),
                                     "--precision", row.precision, "--threads", options.threads])
    first = ours.first_step()
    peers = {rows.label(engine, variant): Worker(dict(spec, engine=engine, labels=first["labels"]))
             for engine, variant in row.peers}
    try:
        agreement = check_first_steps(peers, (first["first_loss"], first["first_gradient_norm"]),
                                      rows.STEP_TOLERANCE[row.precision], options.work)
        engines = {"Vitrail": ours, **peers}
        result = measure.interleave(engines, "Vitrail", options.rounds, options.seconds)
        for name, engine in engines.items():
            result["engines"][name]["memory"] = engine.memory()
    finally:
        for peer in peers.values():
            peer.close()
    for name, found in agreement.items():
        result["engines"].setdefault(name, {}).update(found)
    if ours.turns and "peak_gflops" in ours.turns[-1]:
        result["operations"] = 2 * ours.turns[-1]["multiply_adds"] * row.batch
        result["peak_gflops"] = max(turn["peak_gflops"] for turn in ours.turns)
    return result
