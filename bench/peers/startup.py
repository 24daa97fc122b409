"""From the start of a process to its end with one answer, model file in the page cache."""
import statistics
import subprocess
import sys
import time

import models

PEER = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(sys.argv[3])
options.add_free_dimension_override_by_name("batch", 1)
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print(session.run(None, {"images": numpy.load(sys.argv[2])})[0].argmax())
"""


def wall(command):
    start = time.perf_counter()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def picture(options):
    """A JPEG: Vitrail decodes it too, while the peer gets finished floats."""
    import numpy
    from PIL import Image

    path = options.work / "startup.jpg"
    pixels = numpy.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).resize((500, 375)).save(path)
    return path


def quantized(folder, options):
    """What `vitrail quantize` makes of the model, whatever its answers are worth."""
    out = folder / "vitrail-int8"
    if not (out / "model.safetensors").exists():
        wall([options.program, "quantize", "--model", folder, "--data", "scenes:test=2,size=64",
              "--split", "test", "--layer-pictures", 1, "--max-drop", 100, "--out", out])
    return out


def run(row, options):
    folder = options.model_folder(row.architecture, row.size)
    spec = {"model": folder, "size": row.size, "batch": 1, "variant": "plain",
            "precision": row.precision}
    ours = quantized(folder, options) if row.precision == "int8" else folder
    commands = {
        "Vitrail": [options.program, "classify", "--model", ours, "--threads", options.threads,
                    picture(options)],
        "ONNX Runtime": [sys.executable, "-c", PEER, models.onnx_path(spec),
                         models.input_path(spec), options.threads],
        "the interpreter and its imports": [sys.executable, "-c", "import numpy, onnxruntime"],
    }
    engines = {name: {"rounds": [], "samples": [], "dropped": False} for name in commands}
    for command in commands.values():
        wall(command)
    for _ in range(max(5, options.rounds)):
        for name, command in commands.items():
            seconds = wall(command)
            engines[name]["rounds"].append(seconds)
            engines[name]["samples"].append(seconds)
    overhead = engines.pop("the interpreter and its imports")
    return {"engines": engines, "interpreter": statistics.median(overhead["rounds"])}
