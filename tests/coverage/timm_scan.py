"""Every transformer-like name of timm, its size and what its structure is."""
import hashlib
import json
import re
import warnings

import timm
import torch

from common import OUT

warnings.filterwarnings("ignore")

MODULES = """vision_transformer vision_transformer_hybrid vision_transformer_relpos
vision_transformer_sam deit beit eva swin_transformer swin_transformer_v2 swin_transformer_v2_cr
cait pit levit twins pvt_v2 tnt crossvit coat convit xcit volo visformer nest maxxvit
efficientformer efficientformer_v2 mobilevit davit gcvit naflexvit hiera hieradet_sam2 mvitv2
focalnet tiny_vit vitamin efficientvit_mit efficientvit_msra edgenext fastvit nextvit repvit shvit
metaformer sequencer swiftformer gemma4_vit qwen3_vit deepseek_vit cpubone iformer lowformer
efficientvim mlp_mixer""".split()


def signature(model):
    parts = [type(model).__name__]
    parts += sorted({f"{re.sub(r'[0-9]+', '#', n)}:{p.ndim}" for n, p in model.named_parameters()})
    parts += sorted({type(m).__name__ for m in model.modules()})
    parts += sorted({f"eps{m.eps}" for m in model.modules() if hasattr(m, "eps")})
    for key in ("global_pool", "num_prefix_tokens", "has_class_token", "no_embed_class",
                "pool_include_prefix", "dynamic_img_size"):
        parts.append(f"{key}={getattr(model, key, None)}")
    parts.append(f"headless={model.num_classes == 0}")
    return hashlib.sha1("|".join(parts).encode()).hexdigest()[:12]


def scan():
    """A row a name; made once and kept."""
    path = OUT / f"timm_scan-{timm.__version__}.json"
    if path.exists():
        return json.loads(path.read_text())
    rows = []
    for module in MODULES:
        for name in timm.list_models(module=module):
            row = {"module": module, "name": name}
            try:
                with torch.device("meta"):
                    model = timm.create_model(name, pretrained=False)
                row["params"] = sum(p.numel() for p in model.parameters())
                row["cls"] = type(model).__name__
                row["sig"] = signature(model)
                row["input"] = list(model.pretrained_cfg["input_size"])
                row["classes"] = model.num_classes
                row["depth"] = len(getattr(model, "blocks", []) or [])
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {error}"[:200]
            rows.append(row)
        print(f"looked at {module}: {sum(r['module'] == module for r in rows)} names", flush=True)
    path.write_text(json.dumps(rows, indent=1))
    return rows
