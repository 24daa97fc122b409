#!/usr/bin/env python3
"""Writes the .pth files beside it with torch.save, and hostile ones by hand into hostile_pth/.
Needs torch and numpy; the tests need neither. What the tensors hold, tests/formats/pth_test.cpp
knows: ramps, as in make_formats.py."""
import argparse
import collections
import pathlib
import pickle
import struct

import numpy
import torch

here = pathlib.Path(__file__).parent
hostile = here / "hostile_pth"
hostile.mkdir(exist_ok=True)


def ramp(dtype, *shape):
    count = int(numpy.prod(shape))
    return (torch.arange(count) % 100 - 3).reshape(shape).to(dtype)


def weights():
    base = ramp(torch.float32, 4, 6)
    state = collections.OrderedDict(
        weight=ramp(torch.float32, 2, 3), half=ramp(torch.float16, 5),
        brain=ramp(torch.bfloat16, 3), double=ramp(torch.float64, 2),
        long=ramp(torch.int64, 2, 1, 2), flag=torch.tensor([True, False, True]),
        scalar=torch.tensor(2.5), nothing=torch.zeros(0, 4),
        rows=base[1:3], columns=base[:, 2:4], turned=base.t(),
        parameter=torch.nn.Parameter(ramp(torch.float32, 3)))
    state._metadata = {"": {"version": 1}}
    return state


torch.save(weights(), here / "plain.pth")
torch.save(weights(), here / "legacy.pth", _use_new_zipfile_serialization=False)

w = ramp(torch.float32, 4)
training = {
    "epoch": 7, "lr": 0.5, "flag": True, "nothing": None, "best": numpy.float64(0.25),
    "args": argparse.Namespace(lr=0.1, path=pathlib.PosixPath("/data"), sizes=torch.Size([2, 3])),
    "model": {"module.a": w, "module.b": w + 1},
    "model_ema": {"module.a": w + 10, "module.b": w + 11},
    "optimizer": {"state": {0: {"exp_avg": w}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
}
torch.save(training, here / "training.pth.tar")
torch.save(training, here / "training_legacy.pth.tar", _use_new_zipfile_serialization=False)
dino = {"student": {"module.backbone.patch_embed.proj.weight": w,
                    "module.head.last_layer.weight": w},
        "teacher": {"backbone.patch_embed.proj.weight": w + 1, "head.last_layer.weight": w}}
torch.save(dino, here / "dino.pth")
torch.save(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.LayerNorm(3)), here / "module.pt")
torch.save(weights(), here / "protocol4.pt", pickle_protocol=4)


# ---- hostile files: legacy ones, so that the pickle stands in plain sight ----

def legacy(body, storages=b""):
    keys = pickle.dumps([], 2) if not storages else pickle.dumps(["0"], 2)
    return (pickle.dumps(0x1950a86a20f9469cfc6c, 2) + pickle.dumps(1001, 2) +
            pickle.dumps({"little_endian": True}, 2) + body + keys + storages)


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def storage(numel, kind=b"FloatStorage"):
    return (b"(" + text("storage") + b"ctorch\n" + kind + b"\n" + text("0") + text("cpu") +
            number(numel) + b"NtQ")


def number(value):
    if -2**31 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(8, "little", signed=True)
    return b"\x8a\x08" + data


def numbers(values):
    return b"(" + b"".join(number(v) for v in values) + b"t"


def tensor(numel, offset, sizes, strides):
    return (b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(numel) +
            number(offset) + numbers(sizes) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtRs.")


four = struct.pack("<q4f", 4, 1, 2, 3, 4)
files = {
    "reduce_os_system": b"\x80\x02cos\nsystem\n" + text("touch vitrail_was_here") + b"\x85R.",
    "reduce_eval": b"\x80\x02c__builtin__\neval\n" + text("1+1") + b"\x85R.",
    "stack_global": b"\x80\x04" + text("posix") + text("system") + b"\x93" + text("true") + b"\x85R.",
    "reduce_of_reduce": b"\x80\x02cnumpy\ndtype\n" + text("f4") + b"\x85R)R.",
    "inst": b"\x80\x02(" + text("true") + b"ios\nsystem\n.",
    "obj": b"\x80\x02(cos\nsystem\n" + text("true") + b"o.",
    "newobj": b"\x80\x02csubprocess\nPopen\n" + text("true") + b"\x85\x81.",
    "newobj_ex": b"\x80\x04csubprocess\nPopen\n)}\x92.",
    "setattr": b"\x80\x02cargparse\nNamespace\n)\x81N}" + text("a") + b"K\x01s\x86b.",
    "build_on_function": b"\x80\x02cos\nsystem\n}b.",
    "ext1": b"\x80\x02\x82\x01.", "ext2": b"\x80\x02\x83\x01\x01.", "ext4": b"\x80\x02\x84\x01\x01\x01\x01.",
    "persid_text": b"\x80\x02Pname\n.",
    "persid_other": b"\x80\x02" + text("os.system") + b"Q.",
    "deep_lists": b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
    "deep_tuples": b"\x80\x02)" + b"\x85" * 5000 + b".",
    "deep_marks": b"\x80\x02" + b"(" * 5000 + b"t" * 5000 + b".",
    "deep_self": b"\x80\x02]q\x00" + b"h\x00a" * 5000 + b".",
    "memo_index": b"\x80\x02Nr\xff\xff\xff\xff.",
    "memo_missing": b"\x80\x02h\x07.",
    "memo_bomb": b"\x80\x02]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) * 1 + (b"h" + bytes([i])) * 9 + b"eq" + bytes([i + 1])
        for i in range(60)) + b".",
    "dict_bomb": b"\x80\x02}q\x00" + b"".join(
        b"}(" + b"".join(text(c) + b"h" + bytes([i]) for c in "abcdefgh") + b"uq" + bytes([i + 1])
        for i in range(30)) + b".",
    "dict_bomb_closed": b"\x80\x02(" + b"".join(
        b"}(" + (b"".join(text(c) + b"h" + bytes([i]) for c in "abcdefgh") if i else b"") +
        b"uq" + bytes([i + 1]) for i in range(30)) + b"l0h\x1e.",
    "long_length": b"\x80\x02\x8b\xff\xff\xff\xff\x01.",
    "text_length": b"\x80\x02X\xff\xff\xff\xff.",
    "text_length8": b"\x80\x04\x8d" + b"\xff" * 8 + b".",
    "underflow": b"\x80\x02R.", "empty_stack": b"\x80\x02.", "mark_underflow": b"\x80\x02t.",
    "below_mark": b"\x80\x02}(" + text("a") + b"s.",
    "protocol0": b"\x80\x00N.", "protocol9": b"\x80\x09N.",
    "odd_dict": b"\x80\x02}(" + text("a") + b"u.",
    "unknown_storage": b"\x80\x02(" + text("storage") + b"cos\nsystem\n" + text("0") + text("cpu") +
                       number(4) + b"NtQ.",
    "negative_storage": b"\x80\x02" + storage(-1) + b".",
}
for name, body in files.items():
    (hostile / f"{name}.pth").write_bytes(legacy(body))
shapes = {
    "beyond_storage": (4, 0, [5], [1]), "offset_beyond": (4, 2, [3], [1]),
    "negative_offset": (4, -1, [2], [1]), "negative_size": (4, 0, [-2], [1]),
    "negative_stride": (4, 3, [2], [-1]), "size_overflow": (4, 0, [2**62, 4], [0, 0]),
    "stride_overflow": (4, 0, [3, 2], [2**62, 1]), "repeated": (4, 0, [2**40], [0]),
    "rank": (4, 0, [1] * 9, [1] * 9), "axes": (4, 0, [2, 2], [1]),
}
for name, (numel, offset, sizes, strides) in shapes.items():
    (hostile / f"{name}.pth").write_bytes(legacy(tensor(numel, offset, sizes, strides), four))
(hostile / "claimed_storage.pth").write_bytes(legacy(tensor(2**40, 0, [2**40], [1]), four))
(hostile / "storage_length.pth").write_bytes(
    legacy(tensor(4, 0, [4], [1]), struct.pack("<q4f", 2**61, 1, 2, 3, 4)))
(hostile / "plain_pickle.pth").write_bytes(pickle.dumps({"a": 1}, 2))
