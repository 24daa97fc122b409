"""State dictionaries alone, whose refusal is followed: what it advises is said, rightly, and then the
answer must be equal."""
import torch
from timm.data import resolve_model_data_config

from common import classify, embed, folder, follow_advice, judge, seed_of, truths_of
from conventions.dino import CFG_224, dinov3_names, rounded_periods
from conventions.originals import CFG
from conventions.shared import PICTURE, note, timm_reference, tiny, wanted

GROUP = "advice followed"
SHRUNK = dict(depth=2, embed_dim=192, num_heads=3, img_size=64)


def tokens_of(features, model):
    """Of a map the places in order; of a sequence what follows its prefix."""
    if features.ndim == 3:
        return features.flatten(1).transpose(0, 1)
    return features[model.num_prefix_tokens:]


def advised_of(case, build, make=lambda m: m.state_dict(), cfg=None):
    if not wanted(case):
        return
    with folder(case) as path:
        model = build(seed_of(case))
        torch.save(make(model), path / "checkpoint.pth")
        reference, features = timm_reference(model, cfg)
        head = model.num_classes > 0
        ask = lambda sets: (classify(path / "checkpoint.pth", PICTURE, *sets) if head else  # noqa: E731
                            embed(path / "checkpoint.pth", PICTURE, "patches", *sets))
        first = ask([])
        data = cfg or resolve_model_data_config(model)
        answer, sets = follow_advice(ask, first, truths_of(model, data))
        if answer.rc != 0:
            return note(case, GROUP, *judge(answer, None, None), answer, advice=sets,
                        first=first.message)
        ours = answer.top() if head else answer.values
        note(case, GROUP, *judge(answer, ours, reference if head else tokens_of(features, model)),
             answer, advice=sets, first=first.message)


def published(name, **kw):
    return lambda seed: tiny(seed, name, **kw)


def cases():
    for name in ("vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224",
                 "vit_small_patch32_224"):
        advised_of(f"timm/unnamed/{name}", published(name))
    # A definition, which the message names: that name is all that has to be said.
    advised_of("advice/timm_dinov3_pth", published("vit_small_patch16_dinov3"))
    advised_of("timm_dinov3/pth", published("vit_small_patch16_dinov3", num_classes=7))
    advised_of("advice/timm_dinov3_qkvb_pth", published("vit_small_patch16_dinov3_qkvb"))
    advised_of("advice/timm_rope_pth", published("vit_small_patch16_rope_224"))
    advised_of("advice/timm_eva02_pth", published("eva02_tiny_patch14_224"))
    advised_of("advice/timm_pe_core_pth", published("vit_pe_core_tiny_patch16_384"))
    advised_of("advice/timm_samvit_pth", published("samvit_base_patch16_224", depth=2))
    # Of no definition: field by field.
    advised_of("advice/dinov3_hub", rounded_periods, dinov3_names, CFG_224)
    for case, name in {"rope_mixed": "vit_small_patch16_rope_mixed_224",
                       "beit": "beit_base_patch16_224", "relpos": "vit_relpos_small_patch16_224",
                       "vit": "vit_tiny_patch16_224"}.items():
        advised_of(f"advice/timm_{case}_pth", published(name, num_classes=7, **SHRUNK), cfg=CFG)
