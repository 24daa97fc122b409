"""The names that timm, transformers and their configurations have: python -m generator.closed_lists.

closed_lists.json holds, as the installed libraries say:
  timm_names       every name of a transformer-like module of timm, and whether its model is a
                   VisionTransformer by options of Vitrail's configuration
  timm_arguments   the arguments of timm's VisionTransformer, with the defaults that JSON can hold
  timm_pretrained  the fields of timm's PretrainedCfg, likewise
  configs          the fields of transformers' configurations, with their defaults
  processors       the fields that transformers' image processors write, and those they take
"""

import dataclasses
import inspect
import json
import pathlib
import re

import timm
import torch
import transformers
from timm.models import _pretrained, vision_transformer
from timm.models._registry import _model_to_module

MODULES = """vision_transformer vision_transformer_hybrid vision_transformer_relpos
vision_transformer_sam deit beit eva cait swin_transformer swin_transformer_v2 pit levit twins pvt_v2
tnt crossvit coat convit xcit volo visformer nest naflexvit hiera hieradet_sam2 mvitv2 vitamin
gemma4_vit qwen3_vit deepseek_vit sequencer mlp_mixer""".split()
CONFIGS = ["ViTConfig", "DeiTConfig", "Dinov2Config", "Dinov2WithRegistersConfig"]
PROCESSORS = ["ViT", "DeiT", "Bit", "CLIP", "Siglip", "Beit", "Segformer", "DINOv3ViT"]


BLOCKS = {"Block", "ResPostBlock", "ParallelScalingBlock", "DiffParallelScalingBlock",
          "ParallelThingsBlock"}
BLOCK_PARTS = {"LayerNorm", "RmsNorm", "Attention", "DiffAttention"}
STEMS = {"PatchEmbed", "ResNetV2", "FeatureListNet", "Sequential"}


def is_plain(name):
    """Whether the definition is one that a plain ViT's configuration describes."""
    if _model_to_module[name] not in ("vision_transformer", "vision_transformer_hybrid", "deit"):
        return False
    with torch.device("meta"):
        model = timm.create_model(name)
    stem = getattr(model.patch_embed, "backbone", model.patch_embed)
    others = {type(m).__name__ for m in model.blocks.modules()
              if re.search("norm|Attention", type(m).__name__, re.IGNORECASE)}
    return (type(model.blocks[0]).__name__ in BLOCKS and type(stem).__name__ in STEMS
            and others <= BLOCK_PARTS)


def plain(value):
    """The value if JSON can hold it, else null."""
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return None


def main():
    lists = {"versions": {"timm": timm.__version__, "transformers": transformers.__version__}}
    lists["timm_names"] = {name: is_plain(name) for module in MODULES
                           for name in timm.list_models(module=module)}
    arguments = inspect.signature(vision_transformer.VisionTransformer.__init__).parameters
    lists["timm_arguments"] = {
        name: None if isinstance(p.default, type) else plain(p.default)
        for name, p in arguments.items() if name != "self"}
    lists["timm_pretrained"] = {field.name: plain(field.default) if field.default is not
                                dataclasses.MISSING else None
                                for field in dataclasses.fields(_pretrained.PretrainedCfg)}
    lists["configs"] = {name: getattr(transformers, name)().to_dict() for name in CONFIGS}
    lists["processors"] = {
        name: {**{key: None for key in transformers.processing_utils.ImagesKwargs.__annotations__},
               **getattr(transformers, name + "ImageProcessor")().to_dict()}
        for name in PROCESSORS}
    path = pathlib.Path(__file__).parent.parent / "closed_lists.json"
    path.write_text(json.dumps(lists, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
