"""Writes preprocess.json: what torchvision (through timm) and transformers make of pictures that a formula draws, so that none is stored.

Pillow 13, timm 1.0, transformers 5. Run it here: python make_geometry.py. Checksums are CRC-32 of
the raw bytes, [C, H, W] float32.
"""

import json
import pathlib
import warnings
import zlib

import numpy as np
from timm.data import create_transform, resolve_data_config
from make_resize import checksum, drawn
from transformers import DINOv3ViTImageProcessor
from transformers.models.beit.image_processing_pil_beit import BeitImageProcessorPil
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.deit.image_processing_pil_deit import DeiTImageProcessorPil
from transformers.models.segformer.image_processing_pil_segformer import SegformerImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
PICTURES = [(50, 37), (37, 50), (20, 64), (41, 33), (9, 13), (32, 32), (1, 30), (80, 21), (35, 36)]
TIMM = [
    dict(input_size=[3, 32, 32], interpolation="bicubic", mean=[0.5] * 3, std=[0.5] * 3, crop_pct=0.9, crop_mode="center"),
    dict(input_size=[3, 32, 32]),
    dict(input_size=[3, 33, 33], interpolation="bilinear", crop_pct=1.0),
    dict(input_size=[3, 32, 31], crop_pct=0.95),
    dict(input_size=[3, 32, 32], crop_pct=0.9, crop_mode="squash"),
    dict(input_size=[3, 32, 28], crop_pct=1.0, crop_mode="border", mean=[0.5, 0.4, 0.3]),
    dict(input_size=[3, 32, 32], crop_pct=1.2, interpolation="lanczos"),
    dict(input_size=[1, 28, 28], mean=[0.1307], std=[0.3081], crop_pct=1.0, interpolation="nearest"),
]
HF = [
    (ViTImageProcessorPil, dict(size=32)),
    (ViTImageProcessorPil, dict(size={"height": 30, "width": 20}, resample=3, rescale_factor=1 / 127.5)),
    (DeiTImageProcessorPil, dict(size=36, crop_size=32)),
    (DeiTImageProcessorPil, dict(size=[36, 30], crop_size=[32, 29])),
    (BitImageProcessorPil, dict(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 33},
                                image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])),
    (BitImageProcessorPil, dict(size=30, crop_size=33, do_normalize=False)),
    (CLIPImageProcessorPil, dict(size=21, crop_size=35, do_rescale=False)),
    (CLIPImageProcessorPil, dict(do_resize=False, crop_size=32)),
    (SiglipImageProcessorPil, dict(size={"height": 32, "width": 32})),
    (BeitImageProcessorPil, dict(size=24, resample=1)),
    (SegformerImageProcessorPil, dict(size=40)),
]


def entry(kind, config, picture, output):
    return {"kind": kind, "config": config, "from": picture, "shape": list(output.shape), "crc": checksum(output)}


def preprocess_cases():
    cases = []
    for config in TIMM:
        transform = create_transform(**resolve_data_config(pretrained_cfg=config))
        channels = config["input_size"][0]
        for width, height in PICTURES:
            output = transform(drawn(width, height, channels)).numpy()
            cases.append(entry("timm", config, [width, height, channels], output))
    for processor_class, options in HF:
        processor = processor_class(**options)
        written = {k: v for k, v in json.loads(processor.to_json_string()).items() if v is not None}
        sparse = dict(options, image_processor_type=processor_class.__name__)
        for i, (width, height) in enumerate(PICTURES):
            output = processor(drawn(width, height, 3), return_tensors="np")["pixel_values"][0]
            output = np.asarray(output, np.float32)
            cases.append(entry("hf", written if i % 2 else sparse, [width, height, 3], output))
    # torch sums in an order of its own: compared within a tolerance, not by checksum.
    processor = DINOv3ViTImageProcessor(size={"height": 32, "width": 24})
    for width, height in PICTURES:
        output = np.asarray(processor(drawn(width, height, 3), return_tensors="np")["pixel_values"][0])
        case = entry("hf", json.loads(processor.to_json_string()), [width, height, 3], output)
        del case["crc"]
        case["every_17th"] = [round(float(v), 6) for v in output.reshape(-1)[::17]]
        cases.append(case)
    return cases


def write(name, cases):
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / name).write_text("[\n" + lines + "\n]\n")


write("preprocess.json", preprocess_cases())
