"""Our matrix products against oneDNN's: what bench_gemm prints."""
from engines.vitrail import command_json


def run(row, options):
    command = [options.build / "bench_gemm", "--json"]
    if options.quick:
        command.append("--quick")
    return {"gemm": command_json(command)}
