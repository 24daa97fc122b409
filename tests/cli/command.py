"""What the tests of the command share: running it, and making small files."""
import json
import os
import pathlib
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

BINARY = sys.argv[1]
SOURCE = pathlib.Path(sys.argv[2]).resolve()
GOLDENS = SOURCE / "tests" / "golden" / "models"
MODEL = GOLDENS / "timm" / "augreg"  # 5 classes at 12 x 12
SHARED_DATA = pathlib.Path(os.environ.get("VITRAIL_SHARED_DATA",
                                          SOURCE.parent / "shared" / "data"))


def model_files():
    """{name: content} of MODEL, as a hub serves it."""
    return {path.name: path.read_bytes() for path in MODEL.iterdir()
            if not path.name.startswith("golden.")}


class Result:
    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout
        self.lines = process.stdout.splitlines()
        self.errors = process.stderr.splitlines()

    def json(self):
        return [json.loads(line) for line in self.lines]


def vitrail(*arguments, environment=None):
    command = [BINARY, *map(str, arguments)]
    return Result(subprocess.run(command, capture_output=True, text=True, env=environment,
                                 errors="replace", timeout=800))


def shown_on(terminal, see=lambda shown: None):
    """What a program writes to its terminal until it has closed it; `see` is told as it comes."""
    shown = b""
    deadline = time.monotonic() + 800  # the machine may have other work
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            data = os.read(terminal, 1 << 16)
        except OSError:  # Linux says so when the other side is closed
            break
        if not data:
            break
        shown += data
        see(shown)
    return shown


def read_safetensors(path):
    """{name: (shape, tuple of floats)} of the f32 tensors."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__" and info["dtype"] == "F32":
            begin, end = info["data_offsets"]
            raw = data[8 + size + begin:8 + size + end]
            tensors[name] = (info["shape"], struct.unpack(f"<{len(raw) // 4}f", raw))
    return tensors


def write_safetensors(path, tensors):
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        raw = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": list(shape),
                        "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def write_pixels(path, width, height, pixel):
    """An RGB picture; pixel(x, y) gives three bytes."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width))
                    for y in range(height))

    def chunk(kind, data):
        return (struct.pack(">I", len(data)) + kind + data
                + struct.pack(">I", zlib.crc32(kind + data)))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pathlib.Path(path).write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                                   + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_png(path, width=20, height=16, shade=0):
    """An RGB gradient."""
    write_pixels(path, width, height,
                 lambda x, y: [(x * 9 + y * 5 * (c + 1) + shade) % 256 for c in range(3)])


class CommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name in "abc":
            write_png(self.folder / f"{name}.png", shade=ord(name) * 20)

    def copy_model(self, name="model"):
        target = self.folder / name
        shutil.copytree(MODEL, target)
        return target

    def fails(self, *arguments, status=1, saying=""):
        """Ends with this status, one line of error, and nothing on stdout."""
        result = vitrail(*arguments)
        self.assertEqual(result.status, status, (arguments, result.errors))
        errors = [line for line in result.errors
                  if not line.startswith(("vitrail: warning: ", "vitrail: note: "))]
        self.assertEqual(len(errors), 1, result.errors)
        self.assertRegex(errors[0], r"^vitrail: \[[^\]]+\] \S")
        self.assertIn(saying, errors[0])
        self.assertEqual(result.out, "")
