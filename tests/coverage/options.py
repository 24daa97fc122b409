"""The arguments of `tests/coverage/run`; read with the system's Python, before there is another."""
import argparse
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "vitrail" / "coverage"
# Modules, run by themselves.
PARTS = {"timm": "timm_cases", "transformers": "hf_cases", "vit_pytorch": "vit_pytorch_cases",
         "files": "conventions"}
RESULTS = {"timm": "timm", "transformers": "hf", "vit_pytorch": "vit_pytorch",
           "files": "conventions"}


def parse(arguments=None):
    parser = argparse.ArgumentParser(
        prog="tests/coverage/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Builds the models of timm, transformers and vit-pytorch with random weights, "
                    "saves them as their libraries do, compares Vitrail's answer about a picture "
                    "with the library's, and writes docs/COVERAGE.md.",
        epilog="example: tests/coverage/run --part timm pvt_v2\n\n"
               "The first run sets up a virtual environment (about 6 GB). All parts take about two "
               "hours on two cores. A case that has run is not run again unless --fresh says so.")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="cases whose name has this in it (default: all)")
    parser.add_argument("--part", action="append", choices=list(PARTS), default=[],
                        help="one library's models, or files' conventions (default: all)")
    parser.add_argument("--fresh", action="store_true", help="run again what has run before")
    parser.add_argument("--report", action="store_true", help="compare nothing; write the report")
    parser.add_argument("--keep", action="store_true", help="keep the models' folders")
    parser.add_argument("--threads", type=int, default=2, help="of both sides (default: 2)")
    parser.add_argument("--vitrail", type=Path, metavar="FILE",
                        help="the command to compare (default: the one that is built here)")
    parser.add_argument("--work", type=Path, default=CACHE / "work", metavar="DIR",
                        help="models and results (default: %(default)s)")
    parser.add_argument("--venv", type=Path, default=CACHE / "venv", metavar="DIR",
                        help="the libraries' virtual environment (default: %(default)s)")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "coverage", metavar="DIR",
                        help="where Vitrail is built (default: build/coverage)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "COVERAGE.md", metavar="FILE",
                        help="the report (default: docs/COVERAGE.md)")
    parser.add_argument("--no-setup", action="store_true",
                        help="neither install nor build: both are there")
    return parser.parse_args(arguments)
