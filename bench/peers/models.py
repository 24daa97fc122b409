"""The models of the comparison, and where each engine finds its form of them.

A model is a folder: model.safetensors and config.json in timm's form (what Vitrail reads), and what
prepare.py derived from them for the other engines. Needs no library until a function is called.
"""
from pathlib import Path

ARCHITECTURES = {
    "Ti": "vit_tiny_patch16_224",
    "S": "vit_small_patch16_224",
    "B": "vit_base_patch16_224",
}


# Names of ours: (timm's architecture, its arguments).
VARIANTS = {"vit_tiny_patch4_32": ("vit_tiny_patch16_224",
                                   {"img_size": 32, "patch_size": 4, "num_classes": 10})}


def input_path(spec):
    return Path(spec["model"]) / f"input-{spec['size']}-{spec['batch']}.npy"


def answer_path(spec):
    return Path(spec["model"]) / f"answer-{spec['size']}-{spec['batch']}.npy"


def onnx_path(spec):
    precision = ".int8" if spec["precision"] == "int8" else ""
    return Path(spec["model"]) / f"{spec['variant']}-{spec['size']}{precision}.onnx"


def openvino_path(spec):
    precision = "int8" if spec["precision"] == "int8" else "f32"
    return Path(spec["model"]) / f"openvino-{spec['size']}-{precision}.xml"


def torch_model(folder, size):
    """timm's model with the folder's weights; its position table resized when size asks for it."""
    import json

    import timm
    from safetensors.torch import load_file
    from timm.models.vision_transformer import checkpoint_filter_fn

    config = json.loads((Path(folder) / "config.json").read_text())
    settings = {"num_classes": config["num_classes"], **config.get("model_args", {})}
    model = timm.create_model(config["architecture"], **dict(settings, img_size=size))
    weights = load_file(Path(folder) / "model.safetensors")
    model.load_state_dict(checkpoint_filter_fn(weights, model))
    return model.eval()
