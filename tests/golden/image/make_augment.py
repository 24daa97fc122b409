"""Writes augment.json: what Pillow (through timm's and torchvision's functions) makes of pictures that a formula draws, one operation each with its parameters.

Pillow 13, timm 1.0, torchvision 0.29. Run it here: python make_augment.py. Checksums are CRC-32 of
the raw bytes.
"""

import json
import pathlib
import zlib

import numpy as np
from make_resize import drawn
from PIL import Image, ImageFilter
from timm.data import auto_augment as timm
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as vision

HERE = pathlib.Path(__file__).parent
FILL = (124, 116, 104)
FILTERS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def noise(width, height, channels):
    """Every value anywhere, flat patches among it; as the test's noise()."""
    state = 99 + width
    values = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
                values.append(200 + c if (x // 8 + y // 8) % 5 == 0 else state >> 24)
    return Image.frombytes("RGB" if channels == 3 else "L", (width, height), bytes(values))


def geometric(function, **fixed):
    def run(picture, *values, filter):
        fill = FILL if picture.mode == "RGB" else FILL[0]
        return function(picture, *values, fillcolor=fill, resample=FILTERS[filter], **fixed)

    return run


def nearest(picture, a, b, c, d, e, f):
    return picture.transform(picture.size, Image.AFFINE, (a, b, c, d, e, f), resample=Image.NEAREST)


COLOR = {
    "brightness": (timm.brightness, [[0.1], [0.55], [1.0], [1.37], [1.9]]),
    "contrast": (timm.contrast, [[0.1], [0.55], [1.37], [1.9]]),
    "saturation": (timm.color, [[0.0], [0.1], [0.55], [1.37], [1.9]]),
    "hue": (vision.adjust_hue, [[-0.5], [-0.1], [0.013], [0.1], [0.499]]),
    "grey": (lambda picture: vision.to_grayscale(picture, len(picture.getbands())), [[]]),
    "auto_contrast": (timm.auto_contrast, [[]]),
    "equalize": (timm.equalize, [[]]),
    "invert": (timm.invert, [[]]),
    "posterize": (timm.posterize, [[1], [2], [4], [8]]),
    "solarize": (timm.solarize, [[0], [26], [128], [256]]),
    "solarize_add": (timm.solarize_add, [[0], [99], [110]]),
    "sharpness": (timm.sharpness, [[0.1], [0.55], [1.37], [1.9]]),
    "blur": (lambda picture, radius: picture.filter(ImageFilter.GaussianBlur(radius)), [[0.1], [0.7], [1.3], [2.0], [9.5]]),
    "flip_horizontally": (vision.hflip, [[]]),
    "flip_vertically": (vision.vflip, [[]]),
}
GEOMETRIC = {
    "rotate": (geometric(timm.rotate), [[-27.3], [0.0], [4.2], [30.0], [180.0]]),
    "shear_x": (geometric(timm.shear_x), [[-0.27], [0.3], [0.013]]),
    "shear_y": (geometric(timm.shear_y), [[-0.27], [0.3], [0.013]]),
    "translate_x": (geometric(timm.translate_x_rel), [[-0.405], [0.25], [0.45]]),
    "translate_y": (geometric(timm.translate_y_rel), [[-0.405], [0.25], [0.45]]),
}
NEAREST = [[1, 0.3, 0, 0, 1, 0], [1, 0, 0, -0.233, 1, 0], [1, 0, -7, 0, 1, 0], [1, 0, 0, 0, 1, 5], [0.9, 0.2, 3.3, -0.2, 0.9, 1.7]]
PICTURES = [("drawn", 50, 37, 3), ("noise", 64, 48, 3), ("noise", 33, 32, 1), ("drawn", 3, 2, 3), ("noise", 1, 1, 3)]


def entry(name, values, picture, output, **more):
    pixels = np.asarray(output, np.uint8)
    return {"op": name, "values": values, "from": picture, "crc": zlib.crc32(pixels.tobytes()), **more}


def cases():
    out = []
    for kind, width, height, channels in PICTURES:
        source = {"drawn": drawn, "noise": noise}[kind](width, height, channels)
        picture = [kind, width, height, channels]
        for name, (function, parameters) in COLOR.items():
            for values in parameters:
                out.append(entry(name, values, picture, function(source, *values)))
        for name, (function, parameters) in GEOMETRIC.items():
            for values in parameters:
                for filter in FILTERS:
                    out.append(entry(name, values, picture, function(source, *values, filter=filter), filter=filter))
        for values in NEAREST:
            out.append(entry("nearest", values, picture, nearest(source, *values)))
        for degrees in [-13.0, 21.3]:
            turned = vision.rotate(source, degrees, InterpolationMode.NEAREST)
            out.append(entry("rotate", [degrees], picture, turned, filter="nearest"))
        if min(width, height) > 20:
            # torchvision's crop of a padded picture, and the resized crop of a box.
            for dx, dy in [(-4, 3), (2, -1)]:
                for mode in ["constant", "reflect"]:
                    padded = vision.pad(source, [4, 4], padding_mode=mode)
                    cropped = vision.crop(padded, 4 + dy, 4 + dx, height, width)
                    out.append(entry("padding_crop", [dx, dy, int(mode == "reflect")], picture, cropped))
            for box in [(3, 5, 20, 17), (0, 0, height, width)]:
                for mode in [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC]:
                    cropped = vision.resized_crop(source, *box, [28, 24], mode)
                    out.append(entry("resized_crop", list(box), picture, cropped, filter=mode.value))
    return out


lines = ",\n".join(json.dumps(case) for case in cases())
(HERE / "augment.json").write_text("[\n" + lines + "\n]\n")
