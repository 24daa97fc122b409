"""Checkpoints of the repositories that published the models, in the original names: DeiT, MAE, DINO,
iBOT, MoCo v3, MSN, I-JEPA, DeiT III, BEiT, SAM, DINOv2, DINOv3."""
import torch

from common import folder, follow_advice, classify, judge, seed_of, truths_of
from conventions.shared import (ARGS, PICTURE, ask_file, note, optimizer_state, prefixed,
                                timm_reference, tiny, wanted)

GROUP = "original repositories"
SMALL = dict(embed_dim=96, depth=3, num_heads=3, img_size=64, patch_size=8)
CFG = dict(input_size=(3, 64, 64), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225),
           interpolation="bicubic", crop_pct=0.875)
PREPARED = ["mean=0.485,0.456,0.406", "std=0.229,0.224,0.225", "interpolation=bicubic",
            "crop_pct=0.875"]


def said(*fields):
    return [word for field in fields for word in ("--set", field)]


TOLD = said("num_heads=3", "eps=1e-6", "activation=gelu", *PREPARED)
CLASS, MEAN = [*TOLD, *said("pooling=class_token")], [*TOLD, *said("pooling=mean")]


def small(seed, name="vit_tiny_patch16_224", **kw):
    return tiny(seed, name, **{**SMALL, **kw})


def backbone(seed):
    return small(seed, num_classes=0)


def classifier(seed):
    return small(seed, num_classes=7)


def case_of(case, build, make, sets, tokens=True, data=None):
    if not wanted(case):
        return
    with folder(case) as path:
        model = build(seed_of(case))
        torch.save(make(model), path / "checkpoint.pth")
        reference, features = timm_reference(model, data or CFG)
        ask_file(case, GROUP, path / "checkpoint.pth", sets, reference,
                 features if tokens else None)


def mae_decoder(model):
    d = 32
    out = {"mask_token": torch.randn(1, 1, d), "decoder_pos_embed": torch.randn(1, 65, d)}
    for n in ("embed", "pred"):
        out[f"decoder_{n}.weight"] = torch.randn(d, 96) if n == "embed" else torch.randn(192, d)
        out[f"decoder_{n}.bias"] = torch.randn(d if n == "embed" else 192)
    for n in ("norm1.weight", "norm1.bias", "attn.qkv.weight", "attn.qkv.bias"):
        out["decoder_blocks.0." + n] = torch.randn(3, d)
    out["decoder_norm.weight"] = out["decoder_norm.bias"] = torch.randn(d)
    return out


def linear_probe(seed):
    """MAE's main_linprobe.py puts batch normalisation before the head."""
    model = classifier(seed)
    norm = torch.nn.BatchNorm1d(96, affine=False, eps=1e-6)
    norm.running_mean.copy_(torch.randn(96, generator=torch.Generator().manual_seed(seed)))
    norm.running_var.copy_(torch.rand(96, generator=torch.Generator().manual_seed(seed)) + 0.5)
    model.head = torch.nn.Sequential(norm, model.head)
    return model.eval()


def dino_head():
    return {"mlp.0.weight": torch.randn(32, 96), "mlp.0.bias": torch.randn(32),
            "last_layer.weight_g": torch.randn(64, 1), "last_layer.weight_v": torch.randn(64, 32)}


def dino_checkpoint(m, shift):
    return {"student": {**prefixed({n: t + shift for n, t in m.state_dict().items()},
                                   "module.backbone."),
                        **prefixed(dino_head(), "module.head.")},
            "teacher": {**prefixed(m.state_dict(), "backbone."), **prefixed(dino_head(), "head.")},
            "epoch": 100, "args": ARGS}


def masked_autoencoders():
    case_of("mae/encoder", backbone, lambda m: {"model": m.state_dict()}, CLASS)
    case_of("mae/full", backbone, lambda m: {"model": {**m.state_dict(), **mae_decoder(m)}}, CLASS)
    case_of("mae/finetuned_global_pool", lambda s: small(s, num_classes=7, global_pool="avg"),
            lambda m: {"model": m.state_dict(), "optimizer": optimizer_state(m), "epoch": 99,
                       "scaler": {}, "args": ARGS}, MEAN, False)
    case_of("mae/linprobe_bn_head", linear_probe, lambda m: {"model": m.state_dict()}, CLASS, False)


def self_distillation():
    case_of("dino/backbone", backbone, lambda m: m.state_dict(), CLASS)
    case_of("dino/full", backbone, lambda m: {
        **dino_checkpoint(m, 1), "optimizer": optimizer_state(m), "fp16_scaler": None,
        "dino_loss": {"center": torch.randn(1, 64)}}, CLASS)
    case_of("ibot/teacher", backbone, lambda m: {"state_dict": {
        **m.state_dict(), "masked_embed": torch.randn(1, 96)}}, CLASS)
    case_of("ibot/teacher_plain", backbone, lambda m: {"state_dict": m.state_dict()}, CLASS)
    case_of("ibot/full", backbone, lambda m: dino_checkpoint(m, 0), CLASS)


def joint_embeddings():
    case_of("mocov3/pretrained", backbone, lambda m: {
        "epoch": 300, "arch": "vit_small", "optimizer": optimizer_state(m), "scaler": {},
        "state_dict": {**prefixed(m.state_dict(), "module.base_encoder."),
                       **prefixed({"head.0.weight": torch.randn(64, 96)}, "module.base_encoder."),
                       **prefixed({n: t + 1 for n, t in m.state_dict().items()},
                                  "module.momentum_encoder."),
                       "module.predictor.0.weight": torch.randn(64, 64)}}, CLASS)
    case_of("mocov3/linear", classifier, lambda m: {
        "epoch": 90, "arch": "vit_small", "state_dict": prefixed(m.state_dict(), "module."),
        "best_acc1": torch.tensor(73.1), "optimizer": optimizer_state(m)}, CLASS, False)
    case_of("msn/pretrained", backbone, lambda m: {
        "epoch": 1, "encoder": prefixed({**{n: t + 1 for n, t in m.state_dict().items()},
                                         "fc.fc1.weight": torch.randn(64, 96)}, "module."),
        "target_encoder": prefixed({**m.state_dict(), "fc.fc1.weight": torch.randn(64, 96),
                                    "fc.bn1.weight": torch.randn(64)}, "module."),
        "prototypes": torch.randn(8, 16), "opt": {}}, CLASS)
    case_of("ijepa/target_encoder",
            lambda s: small(s, num_classes=0, class_token=False, global_pool="avg", fc_norm=False),
            lambda m: {"encoder": prefixed(m.state_dict(), "module."),  # as timm reads it
                       "target_encoder": prefixed({n: t + 1 for n, t in m.state_dict().items()},
                                                  "module."),
                       "predictor": prefixed({"predictor_embed.weight": torch.randn(32, 96)},
                                             "module."), "opt": {}, "epoch": 3}, MEAN)


def deit():
    case_of("deit/model", classifier, lambda m: {"model": m.state_dict()}, CLASS, False)
    case_of("deit/distilled",
            lambda s: small(s, "deit_tiny_distilled_patch16_224", num_classes=7),
            lambda m: {"model": m.state_dict()}, TOLD, False)
    case = "deit3/gammas"
    if not wanted(case):
        return
    with folder(case) as path:  # its tensors are also those of timm's rotary ViTs, which is asked
        model = small(seed_of(case), "deit3_small_patch16_224", num_classes=7)
        torch.save({"model": {n.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): t
                              for n, t in model.state_dict().items()}}, path / "checkpoint.pth")
        ask = lambda more: classify(path / "checkpoint.pth", PICTURE, *CLASS, *more)  # noqa: E731
        first = ask([])
        answer, sets = follow_advice(ask, first, truths_of(model, CFG))
        note(case, GROUP, *judge(answer, answer.top() if answer.rc == 0 else None,
                                 timm_reference(model, CFG)[0]), answer, advice=sets,
             first=first.message)


def sam_names(model):
    """segment-anything's whole checkpoint."""
    out = {"prompt_encoder.no_mask_embed.weight": torch.randn(1, 8),
           "mask_decoder.iou_token.weight": torch.randn(1, 8)}
    for n, t in model.state_dict().items():
        out["image_encoder." + n.replace("mlp.fc1", "mlp.lin1").replace("mlp.fc2", "mlp.lin2")] = t
    return out


def sam(seed):
    model = tiny(seed, "samvit_base_patch16", depth=2, embed_dim=96, num_heads=3, img_size=256,
                 global_attn_indexes=(1,), neck_chans=16)
    for block in model.blocks:  # as the original has it, where timm takes torch's default
        block.norm1.eps = block.norm2.eps = 1e-6
    return model


def others():
    case_of("beit/original",
            lambda s: tiny(s, "beit_base_patch16_224", depth=2, embed_dim=96, num_heads=3,
                           img_size=64, num_classes=7),
            lambda m: {"model": m.state_dict()}, MEAN, False)
    case = "sam/image_encoder"
    if not wanted(case):
        return
    with folder(case) as path:
        model = sam(seed_of(case))
        torch.save(sam_names(model), path / "sam_vit.pth")
        cfg = dict(CFG, input_size=(3, 256, 256))
        features = timm_reference(model, cfg)[1]  # a map: channels first
        ask_file(case, GROUP, path / "sam_vit.pth", said(*PREPARED), None,
                 features.flatten(1).transpose(0, 1))


def cases():
    deit()
    masked_autoencoders()
    self_distillation()
    joint_embeddings()
    others()
