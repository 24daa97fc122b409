"""The rows that run a model forwards."""
import sys

import numpy

import measure
import models
import rows
from engines.vitrail import Vitrail
from worker import Worker


def start_peers(row, options, folder):
    peers, failed = {}, {}
    for engine, variant in row.peers:
        spec = {"engine": engine, "variant": variant, "precision": row.precision,
                "model": str(folder), "size": row.size, "batch": row.batch,
                "threads": options.threads}
        name = rows.label(engine, variant)
        try:
            peers[name] = Worker(spec)
        except RuntimeError as error:
            print(f"  {name}: {error}", file=sys.stderr)
            failed[name] = str(error)
    return peers, failed


def run(row, options):
    folder = options.model_folder(row.architecture, row.size)
    spec = {"model": folder, "size": row.size, "batch": row.batch}
    ours = Vitrail(options.program, ["--model", folder, "--input", models.input_path(spec),
                                     "--precision", row.precision, "--threads", options.threads])
    peers, failed = start_peers(row, options, folder)
    engines = {"Vitrail": ours, **peers}
    try:
        agreement = measure.check_answers(engines, numpy.load(models.answer_path(spec)),
                                          rows.TOLERANCE[row.precision], options.work)
        result = measure.interleave(engines, "Vitrail", options.rounds, options.seconds)
        for name, engine in engines.items():
            result["engines"][name]["memory"] = engine.memory()
            result["engines"][name]["version"] = engine.about["version"]
    finally:
        for engine in engines.values():
            engine.close()
    for name, found in agreement.items():
        result["engines"].setdefault(name, {}).update(found)
    for name, error in failed.items():
        result["engines"][name] = {"failed": error}
    if ours.turns:
        turn = ours.turns[-1]
        result["operations"] = 2 * turn["multiply_adds"] * row.batch
        result["isa"] = turn["isa"]
        if "peak_gflops" in turn:
            result["peak_gflops"] = max(t["peak_gflops"] for t in ours.turns)
    return result
