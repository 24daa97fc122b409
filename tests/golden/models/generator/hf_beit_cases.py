"""transformers: BEiT and Data2VecVision, with positions in every block, shared, added and none."""

import transformers as T

from .hf_cases import LIBRARY, OLDER_VIT, _check_spelling, _exact_softmax, _older, _Rows
from .recorder import Case

SMALL = dict(hidden_size=12, num_attention_heads=3, num_hidden_layers=1, intermediate_size=20,
             image_size=16, patch_size=4)
TWO = {**SMALL, "num_hidden_layers": 2}
OLDER = [(r"layers\.(\d+)\.relative", r"layers.\1.attention.attention.relative"),
         (r"shared_position_bias", "encoder.relative_position_bias"), *OLDER_VIT]


def _trunk(model):
    for name in ("beit", "data2vec_vision"):
        model = getattr(model, name, model)
    return model


def _layers(model):
    trunk = _trunk(model)
    return list(trunk.layers if hasattr(trunk, "layers") else trunk.encoder.layer)


def _answer(output):
    """Logits, the pooled vector, or what Vitrail pools where the library does not."""
    if getattr(output, "logits", None) is not None:
        return output.logits
    if output.pooler_output is not None:
        return output.pooler_output
    return output.last_hidden_state[:, 1:].mean(dim=1)


def _class_token(output):
    return output.last_hidden_state[:, 0]


def _rows(layer):
    """Softmax's rows: the second output of the one, what is dropped out of in the other."""
    inner = getattr(layer.attention, "attention", None)
    return _Rows(layer.attention) if inner is None else inner.dropout


def _case(name, model, picture=None, attention=False, answer=_answer, newer=False, faint=False,
          call=lambda m, x: m(pixel_values=x)):
    model.set_attn_implementation("eager")
    config = model.config
    is_beit = config.model_type == "beit"

    def write_config(folder):
        config.architectures = [type(model).__name__]
        config.save_pretrained(folder)
        T.BeitImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
        if not newer:
            _check_spelling(model, folder)

    return Case(
        family="hf_beit", name=name, library=LIBRARY, model=model, picture=(3, *(picture or (16, 16))),
        blocks=_layers, forward=_exact_softmax(lambda m, x: answer(call(m, x))),
        to_file=_older(OLDER) if is_beit and not newer else dict,
        attention=(lambda m: [_rows(layer) for layer in _layers(m)]) if attention else None,
        write_config=write_config, metadata={"format": "pt"}, faint=faint)


def cases():
    beit = T.BeitConfig
    # Which of its modules computes attention is chosen where they are made.
    data2vec = lambda **fields: T.Data2VecVisionConfig(**fields, attn_implementation="eager")
    yield _case("classifier", T.BeitForImageClassification(beit(
        **TWO, use_relative_position_bias=True, num_labels=5)), attention=True, faint=True)
    yield _case("shared", T.BeitModel(beit(
        **TWO, use_shared_relative_position_bias=True, use_mean_pooling=False, use_mask_token=True)),
        (12, 20), attention=True, answer=_class_token)
    yield _case("both_newer", T.BeitForImageClassification(beit(
        **SMALL, use_relative_position_bias=True, use_shared_relative_position_bias=True,
        use_absolute_position_embeddings=True, num_labels=5)), (20, 12), newer=True)
    yield _case("absolute", T.BeitModel(beit(
        **SMALL, use_absolute_position_embeddings=True, layer_scale_init_value=0.0,
        hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-5)), faint=True)
    # Its trunk, whose class token is normed; what tells the words of masked patches is not run.
    yield _case("masked", T.BeitForMaskedImageModeling(beit(
        **SMALL, use_relative_position_bias=True, use_mean_pooling=False, use_mask_token=True,
        vocab_size=7)), answer=_class_token, call=lambda m, x: m.beit(pixel_values=x))
    yield _case("data2vec_classifier", T.Data2VecVisionForImageClassification(data2vec(
        **TWO, use_relative_position_bias=True, use_shared_relative_position_bias=True,
        num_labels=5)), (12, 20), attention=True)
    yield _case("data2vec", T.Data2VecVisionModel(data2vec(**SMALL)), attention=True)
