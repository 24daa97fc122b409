#!/usr/bin/env python3
"""Writes the .pth files beside it with torch.save, and hostile ones by hand into hostile_pth/.
Needs torch, numpy and safetensors; the tests need neither. What the tensors hold, tests/formats/pth_test.cpp
knows: ramps, as in make_formats.py."""
import argparse
import collections
import functools
import pathlib
import pickle
import re
import signal
import struct
import sys
import types
import zipfile

import numpy
import safetensors.torch
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


# ---- modules saved whole, and the wrappers that are found around them ----

class Encoder(torch.nn.Module):
    """Every kind of thing that an object of torch.nn keeps: parameters, one of them tied, buffers
    that are and are not saved, absent ones, activations of several kinds, and Python's own."""

    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(2, 3)
        self.tied = torch.nn.Linear(2, 3)
        self.tied.weight = self.first.weight
        self.bare = torch.nn.Linear(3, 2, bias=False)
        self.norm = torch.nn.BatchNorm1d(3)
        self.register_buffer("kept", ramp(torch.float32, 2))
        self.register_buffer("passing", ramp(torch.float32, 3), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("nothing", None)
        self.scale = torch.nn.Parameter(ramp(torch.float32, 3))
        self.scale.note = "a parameter with an attribute"
        self.blocks = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.LayerNorm(3), torch.nn.GELU())])
        self.gone = None
        self.activation = functools.partial(torch.nn.functional.gelu, approximate="tanh")
        self.pattern = re.compile("head|norm")
        self.kind = signal.Handlers.SIG_DFL  # an enumeration's member
        self.dtype, self.device = torch.float32, torch.device("cpu")
        self.sizes, self.spec = torch.Size([2, 3]), numpy.float64(1.5)
        self.method = self.first.forward
        self.options = {"lists": [1, (2, {3})], "nested": self.norm, "path": pathlib.PurePosixPath("a")}


encoder = Encoder()
modules = {
    "whole": encoder,
    "whole_parallel": torch.nn.DataParallel(encoder),
    "whole_in_dict": {"epoch": 3, "model": encoder, "optimizer": {"state": {0: {"exp_avg": w}}}},
    "lightning": {"epoch": 1, "global_step": 2, "pytorch-lightning_version": "2.0",
                  "state_dict": {"model." + k: v for k, v in encoder.state_dict().items()},
                  "hyper_parameters": argparse.Namespace(lr=0.1), "callbacks": {}, "loops": {}},
    "compiled_parallel": {"state_dict": {"module._orig_mod." + k: v
                                         for k, v in encoder.state_dict().items()}},
}


class Compiled:
    """As torch.compile's modules are pickled, without inductor's whole configuration."""

    def __reduce__(self):
        return torch._dynamo.eval_frame.OptimizedModule, (encoder, None)


class Traced:
    def __reduce__(self):
        return torch.fx.graph_module.reduce_graph_module, (dict(encoder.__dict__), "")


modules["compiled"] = Compiled()
modules["traced"] = Traced()
Encoder.__module__ = "timm.models.eva"  # as if it were that class
Encoder.__qualname__ = Encoder.__name__ = "Eva"
for package in "timm", "timm.models", "timm.models.eva":
    sys.modules[package] = types.ModuleType(package)
    sys.modules[package].__path__ = []
sys.modules["timm.models.eva"].Eva = Encoder
for name, value in modules.items():
    torch.save(value, here / f"{name}.pth")

def no_source(*_):  # the older form would keep the source of every class
    raise OSError


torch.serialization.get_source_lines_and_file = no_source
torch.save(encoder, here / "whole_legacy.pth", _use_new_zipfile_serialization=False)
torch.save(encoder, here / "whole_protocol4.pth", pickle_protocol=4)
torch.save(torch.nn.Module(), here / "empty_module.pth")
torch.save(signal.Handlers.SIG_DFL, here / "no_module.pth")
safetensors.torch.save_file({k: v.clone() for k, v in encoder.state_dict().items()},
                            here / "whole.safetensors")  # what upstream says it holds


class Scripted(torch.nn.Module):
    def forward(self, x: torch.Tensor):
        return x + 1


torch.jit.save(torch.jit.script(Scripted()), here / "scripted.pt")


class Inner(torch.nn.Module):
    """Attributes of several kinds beside the weights, as TorchScript keeps them."""

    def __init__(self):
        super().__init__()
        self.first, self.again = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
        self.blocks = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.LayerNorm(3), torch.nn.GELU())])
        self.norm = torch.nn.BatchNorm1d(3)
        self.scale = torch.nn.Parameter(ramp(torch.float16, 3))
        self.sizes: list[int] = [2, 3]
        self.names: dict[str, int] = {"a": 1}
        self.count, self.ratio, self.word = 3, 0.5, "word"

    def forward(self, x):
        for block in self.blocks:
            x = block(self.first(x) + self.again(x))
        return self.norm(x) * self.scale


class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.model = Inner()

    def forward(self, x):
        return self.model(x)


inner = Inner().eval()
torch.jit.save(torch.jit.script(inner), here / "script_module.pt")
outer = Outer().eval()
outer.model = inner
torch.jit.save(torch.jit.trace(outer, torch.zeros(1, 2)), here / "script_traced.pt")
torch.jit.save(torch.jit.freeze(torch.jit.script(inner)), here / "script_frozen.pt")
safetensors.torch.save_file({k: v.clone() for k, v in inner.state_dict().items()},
                            here / "script_module.safetensors")
numpy.savez(here / "jax.npz", kernel=numpy.zeros(2, numpy.float32))
numpy.savez_compressed(here / "jax_compressed.npz", kernel=numpy.zeros(200, numpy.float32))
count = numpy.arange(24, dtype=numpy.float32).reshape(2, 3, 4)
numpy.savez(here / "arrays.npz", **{
    "Transformer/rows": count, "columns": numpy.asfortranarray(count), "one": numpy.float64(2.5),
    "empty": numpy.zeros((0, 3), numpy.int32)})
with zipfile.ZipFile(here / "not_arrays.npz", "w") as archive:
    archive.writestr("a.npy", b"")
    archive.writestr("readme.txt", b"no array")


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
    "setattr": b"\x80\x02cos\nenviron\nN}" + text("a") + b"K\x01s\x86b.",
    "partial_of_system": b"\x80\x02cmine\nPartial\ncos\nsystem\n" + text("true") + b"\x86R.",
    "submodule": b"\x80\x02ctorch.hub\nload\n" + text("a/b") + b"\x85R.",
    # Work out of proportion: each names, in a few bytes a time, what is large and was made once.
    "ordereddict_quadratic": b"\x80\x02](NN\x86q\x01" + b"h\x01" * 3000 + b"eq\x00ccollections\n"
                             b"OrderedDict\n(" + b"h\x00" * 3000 + b"tR.",
    "set_quadratic": b"\x80\x02](" + b"K\x01" * 3000 + b"eq\x00c__builtin__\nset\n(" +
                     b"h\x00" * 3000 + b"tR.",
    "sizes_quadratic": b"\x80\x02(" + b"K\x01" * 3000 + b"tq\x00ctorch._utils\n_rebuild_tensor_v2\n(" +
                       storage(4) + b"K\x00h\x00h\x00tR.",
    "persid_quadratic": b"\x80\x02(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") +
                        text("cpu") + b"K\x01" + b"N" * 3000 + b"tq\x00" + b"h\x00Q0" * 3000 + b"N.",
    "long_global": b"\x80\x04" + text("x" * 2000) + text("y") + b"\x93.",
    "long_names": b"\x80\x02}(" + text("k" * 2000) + tensor(4, 0, [4], [1])[3 + len(text("w")):-2] + b"u.",
    "many_values": b"\x80\x02(" + b"N" * 3000 + b"t.",
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
