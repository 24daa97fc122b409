"""Writes resize_pillowN.json, N being the installed Pillow's major version: what it makes of pictures
that a formula draws, so that none is stored.

Run it here under each version whose order of passes differs: Pillow 12 (as all before it) and
Pillow 13. Checksums are CRC-32 of the raw interleaved bytes.
"""

import json
import pathlib
import random
import zlib

import numpy as np
import PIL
from PIL import Image

HERE = pathlib.Path(__file__).parent
FILTERS = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]  # Pillow's codes 0..5


def drawn(width, height, channels):
    """Half a gradient, half noise of a linear congruential generator; the test draws the same."""
    count = width * height * channels
    state, noise = 12345 + 31 * width + 17 * height + channels, np.empty(count, np.uint32)
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        noise[i] = state >> 24
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    gradient = ((5 * x + 3 * y + 40 * c) & 255).reshape(-1)
    pixels = ((noise + gradient) // 2).astype(np.uint8).reshape(height, width, channels)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def checksum(array):
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def resize_cases():
    random.seed(5)
    sizes = [(1, 1, 1, 1), (1, 1, 7, 5), (7, 5, 1, 1), (64, 48, 64, 48), (64, 48, 64, 20), (64, 48, 20, 48),
             (60, 90, 45, 30), (60, 90, 45, 62), (90, 60, 30, 45), (33, 77, 34, 76), (200, 3, 10, 9), (3, 200, 9, 10)]
    while len(sizes) < 100:
        sizes.append((random.randint(1, 90), random.randint(1, 90), random.randint(1, 120), random.randint(1, 120)))
    cases = []
    for i, (width, height, to_width, to_height) in enumerate(sizes):
        for channels in (1, 3):
            image = drawn(width, height, channels)
            case = {"from": [width, height, channels], "to": [to_width, to_height]}
            box = None
            if i % 4 == 3 and width > 2 and height > 2:
                box = [round(random.uniform(0, width / 3), 2), round(random.uniform(0, height / 3), 2),
                       round(random.uniform(width / 2, width), 2), round(random.uniform(height / 2, height), 2)]
                case["box"] = box
            case["crc"] = [checksum(image.resize((to_width, to_height), code, box=box)) for code in range(len(FILTERS))]
            cases.append(case)
    return cases


if __name__ == "__main__":
    name = f"resize_pillow{PIL.__version__.split('.')[0]}.json"
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in resize_cases())
    (HERE / name).write_text("[\n" + lines + "\n]\n")
