"""Writes augment.json: what timm's RandAugment operations and torchvision's AutoAugment operations make of drawn pictures at given levels, and what timm's Mixup makes of a batch.

Pillow 13, timm 1.0, torchvision 0.29. Run it here: python make_augment.py. Checksums are CRC-32 of
the raw bytes.
"""

import json
import pathlib
import sys
import zlib
from unittest import mock

import numpy as np
import torch
from PIL import Image
from timm.data import auto_augment as timm
from timm.data.mixup import Mixup
from torchvision.transforms import InterpolationMode
from torchvision.transforms import autoaugment as vision

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "image"))
from make_resize import drawn  # noqa: E402

PICTURE = (40, 36, 3)
FILL = (124, 116, 104)


def crc(output):
    return zlib.crc32(np.ascontiguousarray(output).tobytes())


def timm_cases():
    names = [*timm._RAND_TRANSFORMS, *timm._RAND_INCREASING_TRANSFORMS, "Desaturate", "GaussianBlur"]
    source = drawn(*PICTURE)
    for name in dict.fromkeys(names):
        for level in [0, 3, 7.3, 9]:
            for negative in [False, True]:
                op = timm.AugmentOp(name, prob=1.0, magnitude=level, hparams=dict(img_mean=FILL, interpolation=Image.BICUBIC))
                with mock.patch("random.random", lambda: 0.9 if negative else 0.1):
                    try:
                        output = op(source)
                    except ValueError:  # Pillow 13 refuses to posterize to no bits
                        continue
                yield {"timm": name, "level": level, "negative": negative, "crc": crc(output)}


def torchvision_cases():
    source = drawn(*PICTURE)
    space = vision.AutoAugment()._augmentation_space(10, (PICTURE[1], PICTURE[0]))
    for name, (magnitudes, signed) in space.items():
        for index in [0, 3, 6, 9] if magnitudes.ndim else [0]:
            for negative in [False, True] if signed else [False]:
                magnitude = float(magnitudes[index]) if magnitudes.ndim else 0.0
                output = vision._apply_op(source, name, -magnitude if negative else magnitude, InterpolationMode.NEAREST, None)
                yield {"torchvision": name, "magnitude": index, "negative": negative, "crc": crc(output)}


def mix_cases():
    labels = torch.tensor([3, 0, 2, 2])
    for lam, cutmix, center in [(0.3, False, (0, 0)), (0.83, False, (0, 0)), (0.3, True, (1, 5)), (0.7, True, (4, 3))]:
        images = ((torch.arange(4 * 3 * 6 * 7) * 37 % 101).float() / 50 - 1).reshape(4, 3, 6, 7)
        mixer = Mixup(mixup_alpha=1, cutmix_alpha=1, label_smoothing=0.1, num_classes=5)
        mixer._params_per_batch = lambda: (lam, cutmix)
        with mock.patch("numpy.random.randint", mock.Mock(side_effect=center)):
            mixed, targets = mixer(images, labels)
        yield {"mix": lam, "cutmix": cutmix, "center_y": center[0], "center_x": center[1], "crc": crc(mixed.numpy()),
               "targets": [round(float(v), 7) for v in targets.reshape(-1)]}


cases = [*timm_cases(), *torchvision_cases(), *mix_cases()]
(HERE / "augment.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
