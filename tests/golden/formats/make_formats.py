#!/usr/bin/env python3
"""Writes the small files beside it with safetensors and NumPy, as references for Vitrail's readers
and writers. Needs torch, safetensors and numpy; the tests need none of them."""
import pathlib

import numpy
import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent


def ramp(dtype, *shape):
    count = int(numpy.prod(shape))
    return (torch.arange(count) % 100 - 3).reshape(shape).to(dtype)


tensors = {
    "weight": ramp(torch.float32, 2, 3),
    "half": ramp(torch.float16, 5),
    "brain": ramp(torch.bfloat16, 3),
    "double": ramp(torch.float64, 2),
    "long": ramp(torch.int64, 2, 1, 2),
    "int": ramp(torch.int32, 3),
    "short": ramp(torch.int16, 1),
    "byte": ramp(torch.int8, 7),
    "unsigned": torch.arange(5, dtype=torch.uint8),
    "flag": torch.tensor([True, False, True]),
    "scalar": torch.tensor(2.5),
    "nothing": torch.zeros(0, 4),
    'quo"te\\ \u00e9\n': ramp(torch.float32, 1),
}
save_file(tensors, here / "every_dtype.safetensors", metadata={"format": "pt"})
save_file({"a": ramp(torch.float32, 4)}, here / "plain.safetensors")

numpy.save(here / "matrix_f32.npy", ramp(torch.float32, 2, 3).numpy())
numpy.save(here / "vector_i64.npy", ramp(torch.int64, 5).numpy())
numpy.save(here / "scalar_f64.npy", numpy.float64(2.5))
numpy.save(here / "fortran.npy", numpy.asfortranarray(ramp(torch.float32, 2, 3).numpy()))
with open(here / "version2_u8.npy", "wb") as file:
    numpy.lib.format.write_array(file, numpy.arange(3, dtype=numpy.uint8), version=(2, 0))
