"""CvT of transformers, shrunk."""

import transformers
from transformers import ConvNextImageProcessor, CvtConfig, CvtForImageClassification, CvtModel

from .recorder import Case

transformers.logging.set_verbosity_error()


def _case(name, picture, headless=False, faint=False, **fields):
    # Its drop path needs more blocks in a stage than stages before it.
    config = CvtConfig(embed_dim=[8, 8, 16], num_heads=[1, 2, 4], depth=[1, 2, 3],
                       mlp_ratio=[2.0, 1.5, 1.0], num_labels=5, **fields)
    kind = CvtModel if headless else CvtForImageClassification
    model = kind(config)

    def forward(m, x):
        output = m(x)
        if not headless:
            return output.logits
        token = output.cls_token_value
        return output.last_hidden_state.mean((2, 3)) if token is None else token[:, 0]

    def write_config(folder):
        config.architectures = [kind.__name__]
        config.save_pretrained(folder)
        ConvNextImageProcessor(size={"shortest_edge": picture[0]}).save_pretrained(folder)

    return Case(
        family="cvt", name=name, library=f"transformers {transformers.__version__}", model=model,
        picture=(config.num_channels, *picture), forward=forward,
        blocks=lambda m: [layer for stage in getattr(m, "cvt", m).encoder.stages
                          for layer in stage.layers],
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    yield _case("hf", (32, 32))
    yield _case("hf_another_size", (40, 28), qkv_bias=[False, False, False], num_channels=1)
    # With a classifier the library does not run without the token.
    yield _case("hf_no_class_token", (32, 32), headless=True, cls_token=[False, False, False],
                kernel_qkv=[5, 3, 1], padding_q=[2, 1, 0], padding_kv=[1, 0, 0],
                stride_kv=[3, 1, 2])
    yield _case("hf_base", (32, 24), headless=True)
