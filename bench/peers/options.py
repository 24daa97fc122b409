"""The arguments of `bench/peers/run`; read with the system's Python, before there is any other."""
import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vitrail" / "peers"


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="bench/peers/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures Vitrail beside ONNX Runtime, OpenVINO, PyTorch, Pillow and oneDNN, "
                    "taking turns on the same weights and pictures, and writes docs/BENCHMARKS.md.",
        epilog="example: bench/peers/run --only f32-B int8-B --quick\n\n"
               "The first run sets up a virtual environment (about 7 GB) and makes the models "
               "(about 3 GB). All rows take half an hour on two cores; leave the machine alone.\n"
               "Rows that are not run keep their last result.")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROW",
                        help="rows whose name begins so: f32, int8-B, train, pictures, startup, "
                             "scaling, gemm (default: all)")
    parser.add_argument("--quick", action="store_true", help="two short rounds instead of five")
    parser.add_argument("--report", action="store_true", help="measure nothing; write the report")
    parser.add_argument("--out", type=Path, default=ROOT / "docs", metavar="DIR",
                        help="where BENCHMARKS.md and benchmarks.svg go (default: docs)")
    parser.add_argument("--threads", type=int, default=2, help="of every engine (default: 2)")
    parser.add_argument("--pictures", type=Path, metavar="DIR",
                        help="photographs for the row 'pictures'; without them it is left out")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=DIR",
                        help="real weights in timm's form instead of random ones")
    parser.add_argument("--venv", type=Path, default=CACHE / "venv", metavar="DIR",
                        help="the peers' virtual environment (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=CACHE / "work", metavar="DIR",
                        help="models and raw results (default: %(default)s)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "bench", metavar="DIR",
                        help="where Vitrail is built (default: build/bench)")
    parser.add_argument("--no-setup", action="store_true",
                        help="neither install nor build: both are there")
    return parser.parse_args(arguments)
