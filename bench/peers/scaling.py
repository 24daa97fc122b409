"""Two threads against one, and two one-thread processes against one, beside the machine's ratio."""
import json
import statistics
import subprocess
import time

import models
from engines.vitrail import command_json


def bench(options, row, threads):
    folder = options.model_folder(row.architecture, row.size)
    spec = {"model": folder, "size": row.size, "batch": row.batch}
    return [str(word) for word in (options.program, "bench", "--model", folder, "--input",
                                   models.input_path(spec), "--runs", 2, "--threads", threads,
                                   "--json")]


def pair(command):
    """Pictures a second of two processes at once."""
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    return sum(json.loads(process.communicate()[0])["pictures_per_second"] for process in both)


def machine_ratio(options):
    one, two = command_json([options.program, "bench", "--peak", "--threads", 2, "--json"])["peaks"]
    return two["f32_gflops"] / one["f32_gflops"]


def run(row, options):
    ratios = {"machine": [], "threads": [], "sessions": []}
    for _ in range(max(3, options.rounds // 2)):
        ratios["machine"].append(machine_ratio(options))
        time.sleep(0.1)
        one = command_json(bench(options, row, 1))["pictures_per_second"]
        two = command_json(bench(options, row, 2))["pictures_per_second"]
        ratios["threads"].append(two / one)
        ratios["sessions"].append(pair(bench(options, row, 1)) / one)
    return {"ratios": ratios,
            "medians": {name: statistics.median(values) for name, values in ratios.items()}}
