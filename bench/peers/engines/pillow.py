"""Pillow with numpy: decode, resize the short side, crop the centre, normalise; one thread."""
from pathlib import Path

import numpy
import PIL
from PIL import Image

MEAN = STD = numpy.float32(0.5)
RESIZE, CROP = 248, 224


def prepare(path):
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
    width, height = picture.size
    short = min(width, height)
    picture = picture.resize((int(RESIZE * width / short), int(RESIZE * height / short)),
                             Image.Resampling.BICUBIC)
    left, top = round((picture.width - CROP) / 2), round((picture.height - CROP) / 2)
    pixels = numpy.asarray(picture.crop((left, top, left + CROP, top + CROP)), dtype=numpy.float32)
    return numpy.ascontiguousarray(((pixels / numpy.float32(255) - MEAN) / STD).transpose(2, 0, 1))


class Engine:
    version = PIL.__version__

    def __init__(self, spec):
        self.files = [Path(file) for file in spec["files"]]

    def run(self):
        for file in self.files:
            self.last = prepare(file)

    def answer(self):
        return numpy.stack([prepare(file) for file in self.files])


def load(spec):
    return Engine(spec)
