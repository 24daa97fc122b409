"""Photographs from file to normalised floats, one thread, against Pillow with numpy."""
import numpy

import measure
import models
import rows
from engines.vitrail import Vitrail, command_json
from worker import Worker

COUNT = 40  # files a pass
CHECKED = 8


class PictureBench(Vitrail):
    """`vitrail bench --pictures`: seconds of one pass over the files."""

    def __init__(self, program, model, files):
        super().__init__(program, ["--model", model, "--threads", 1, "--pictures", *files])


def check_answers(options, model, worker, files):
    """Logits of Pillow's floats equal, to the bit, those of the files as Vitrail reads them."""
    path = options.work / "pillow.npy"
    worker.answer(path)
    numpy.save(path, numpy.load(path)[:CHECKED])
    logits = options.work / "logits.npy"
    command_json([options.program, "bench", "--model", model, "--input", path, "--runs", 1,
                  "--output", logits, "--json"])
    for file, expected in zip(files, numpy.load(logits)):
        answer = command_json([options.program, "classify", "--model", model, "--json", file])
        for entry in answer["top"]:
            if numpy.float32(entry["logit"]) != expected[entry["index"]]:
                raise RuntimeError(f"Pillow and Vitrail prepare {file} differently")


def run(row, options):
    files = sorted(str(f) for f in options.pictures.rglob("*")
                   if f.suffix.lower() in (".jpg", ".jpeg"))
    files = files[::max(1, len(files) // COUNT)][:COUNT]
    if not files:
        raise RuntimeError(f"no JPEG below {options.pictures}")
    model = options.model_folder(models.ARCHITECTURES["Ti"], 224)
    worker = Worker({"engine": "pillow", "files": files, "threads": 1})
    name = rows.label("pillow", "")
    engines = {"Vitrail": PictureBench(options.program, model, files), name: worker}
    try:
        check_answers(options, model, worker, files)
        result = measure.interleave(engines, "Vitrail", options.rounds, options.seconds)
    finally:
        worker.close()
    for entry in result["engines"].values():  # milliseconds a picture, not a pass
        entry["rounds"] = [seconds / len(files) for seconds in entry["rounds"]]
        entry["samples"] = [seconds / len(files) for seconds in entry["samples"]]
    result["pictures"] = len(files)
    return result
