"""ViTDet: transformers' model, with windows, tables and residual blocks, and without."""

import transformers
from transformers import VitDetBackbone, VitDetConfig, VitDetModel, ViTImageProcessor

from .recorder import Case

LIBRARY = f"transformers {transformers.__version__}"


class Rows:
    """Presents an attention module's rows, which are its second output."""

    def __init__(self, module):
        self.module = module

    def register_forward_hook(self, hook):
        return self.module.register_forward_hook(lambda m, i, output: hook(m, i, output[1]))


def _case(name, model_class=VitDetModel, picture=None, attention=False, faint=False, **fields):
    config = VitDetConfig(hidden_size=12, num_attention_heads=3, num_channels=3, patch_size=4,
                          mlp_ratio=2, **fields)
    model = model_class(config)
    size = picture or (config.image_size, config.image_size)

    def forward(m, x):
        output = m(x, output_attentions=attention)
        last = (output.feature_maps[-1] if model_class is VitDetBackbone
                else output.last_hidden_state)
        return last.mean((2, 3))

    def write_config(folder):
        config.architectures = [model_class.__name__]
        config.save_pretrained(folder)
        ViTImageProcessor(size={"height": 20, "width": 20}).save_pretrained(folder)

    return Case(
        family="vitdet", name=name, library=LIBRARY, model=model, picture=(3, *size),
        blocks=lambda m: list(m.encoder.layer),
        to_tokens=lambda x: x.permute(0, 2, 3, 1).flatten(1, 2), forward=forward,
        attention=(lambda m: [Rows(x.attention) for x in m.encoder.layer]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    windows = dict(num_hidden_layers=3, window_block_indices=[0, 2], window_size=3,
                   use_relative_position_embeddings=True)
    yield _case("windows", attention=True, faint=True, image_size=20, pretrain_image_size=12,
                residual_block_indices=[1], **windows)
    yield _case("larger", picture=(16, 28), image_size=16, pretrain_image_size=16,
                residual_block_indices=[2], hidden_act="relu", layer_norm_eps=1e-5, **windows)
    yield _case("plain", num_hidden_layers=2, image_size=16, pretrain_image_size=16,
                qkv_bias=False)
    yield _case("backbone", VitDetBackbone, image_size=16, pretrain_image_size=16,
                out_features=["stage3"], **windows)
