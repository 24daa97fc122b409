"""Makes one model's files: `python prepare.py FOLDER ARCHITECTURE SIZE [CHECKPOINT]`, or with
--checkpoint-only in the last place its weights alone.

Seeded random weights unless CHECKPOINT names a folder of real ones; inputs of 1 and 8 pictures and
what PyTorch answers in f32; ONNX graphs; OpenVINO's form; int8 forms of both. What exists is kept.
"""
import json
import logging
import shutil
import sys
import warnings
from pathlib import Path

import numpy
import torch

import models

BATCHES = {224: (1, 8)}  # other sizes: 1 alone, and f32 alone


def make_checkpoint(folder, architecture, real):
    if (folder / "model.safetensors").exists():
        return
    if real:
        for name in ("model.safetensors", "config.json"):
            shutil.copy(Path(real) / name, folder / name)
        return
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    base, settings = models.VARIANTS.get(architecture, (architecture, {"num_classes": 1000}))
    model = timm.create_model(base, **settings)
    # A trained model's biases and norms are not constants; nor shall these be.
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim == 1:
                value += 0.1 * torch.randn_like(value)
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": base, "num_classes": model.num_classes, "global_pool": "token",
              "model_args": settings,
              "pretrained_cfg": {"input_size": [3, *model.patch_embed.img_size],
                                 "interpolation": "bicubic", "crop_pct": 0.9,
                                 "crop_mode": "center", "mean": [0.5] * 3, "std": [0.5] * 3,
                                 "num_classes": model.num_classes,
                                 "first_conv": "patch_embed.proj", "classifier": "head"}}
    (folder / "config.json").write_text(json.dumps(config, indent=2))


def pictures(count, size, seed=1):
    """Smooth colours, as photographs have, in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 12, 12, generator=generator)
    fine = torch.rand(count, 3, size, size, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return (2.4 * smooth + 0.2 * fine - 1.3).clamp(-1, 1).contiguous()


def make_inputs(folder, size):
    model = models.torch_model(folder, size)
    for batch in BATCHES.get(size, (1,)):
        spec = {"model": folder, "size": size, "batch": batch}
        if models.answer_path(spec).exists():
            continue
        images = pictures(batch, size)
        numpy.save(models.input_path(spec), images.numpy())
        with torch.no_grad():
            numpy.save(models.answer_path(spec), model(images).numpy())
    return model


class FusedAttention(torch.autograd.Function):
    """Exports as ONNX Runtime's own attention operator, which never stores N x N scores."""

    @staticmethod
    def forward(ctx, q, k, v, heads):
        return q

    @staticmethod
    def symbolic(graph, q, k, v, heads):
        output = graph.op("com.microsoft::MultiHeadAttention", q, k, v, num_heads_i=heads)
        return output.setType(q.type())


def fused_forward(self, x, *unused, **also_unused):
    q, k, v = self.qkv(x).chunk(3, dim=-1)
    return self.proj(FusedAttention.apply(q, k, v, self.num_heads))


def export_onnx(model, path, size):
    torch.onnx.export(model, (pictures(1, size),), str(path), dynamo=False, opset_version=17,
                      input_names=["images"], output_names=["logits"],
                      dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
                      custom_opsets={"com.microsoft": 1})


def make_onnx(folder, size):
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from timm.layers import Attention
    from timm.layers import set_fused_attn

    set_fused_attn(False)
    for variant in ("plain", "fused"):
        spec = {"model": folder, "size": size, "variant": variant, "precision": "f32"}
        path = models.onnx_path(spec)
        if not path.exists():
            model = models.torch_model(folder, size)
            if variant == "fused":
                for module in model.modules():
                    if isinstance(module, Attention):
                        module.forward = fused_forward.__get__(module)
            export_onnx(model, path, size)
            if variant == "fused":
                fuse_the_rest(path, model)
        quantized = models.onnx_path(dict(spec, precision="int8"))
        if size == 224 and not quantized.exists():
            # Convolutions stay f32: the runtime's dynamic int8 convolution is slower.
            quantize_dynamic(str(path), str(quantized), per_channel=True,
                             op_types_to_quantize=["MatMul", "Gemm"],
                             weight_type=QuantType.QInt8,
                             # Shape inference does not know the types behind com.microsoft's.
                             extra_options={"DefaultTensorType": TensorProto.FLOAT})


def fuse_the_rest(path, model):
    """ONNX Runtime's own optimizer for transformers: skip + LayerNorm, bias + GELU."""
    from onnxruntime.transformers import optimizer

    optimized = optimizer.optimize_model(
        str(path), model_type="vit", num_heads=model.blocks[0].attn.num_heads,
        hidden_size=model.embed_dim, opt_level=0, use_gpu=False)
    optimized.save_model_to_file(str(path))


def make_openvino(folder, size, model):
    import openvino

    spec = {"model": folder, "size": size, "precision": "f32"}
    path = models.openvino_path(spec)
    if not path.exists():
        converted = openvino.convert_model(model, example_input=pictures(1, size),
                                           input=[-1, 3, size, size])
        openvino.save_model(converted, path, compress_to_fp16=False)
    quantized = models.openvino_path(dict(spec, precision="int8"))
    if size == 224 and not quantized.exists():
        import nncf

        samples = [pictures(1, size, seed).numpy() for seed in range(2, 18)]
        converted = nncf.quantize(openvino.Core().read_model(path), nncf.Dataset(samples),
                                  model_type=nncf.ModelType.TRANSFORMER, subset_size=len(samples))
        openvino.save_model(converted, quantized, compress_to_fp16=False)


def main():
    folder, architecture, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    real = sys.argv[4] if len(sys.argv) > 4 else None
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint_only = real == "--checkpoint-only"
    make_checkpoint(folder, architecture, None if checkpoint_only else real)
    if checkpoint_only:
        return
    model = make_inputs(folder, size)
    failed = False
    for make in (lambda: make_onnx(folder, size), lambda: make_openvino(folder, size, model)):
        try:
            make()
        except Exception as error:  # the other engines can still be compared
            failed = True
            print(f"prepare: {architecture} at {size}: {type(error).__name__}: {error}",
                  file=sys.stderr)
    if not failed:
        (folder / f"complete-{size}").touch()


if __name__ == "__main__":
    main()
