"""The same models in the files that people have: .bin, shards, half precision, wrappers' prefixes,
EMA, original repositories' layouts, JAX, OpenCLIP, TorchScript -> out/conventions.jsonl."""
import traceback

from conventions import (advice, dino, jax, open_clip_files, originals, timm_files, torchscript,
                         transformers_files)

for part in (transformers_files, timm_files, originals, dino, advice, jax, open_clip_files,
             torchscript):
    try:
        part.cases()
    except Exception:
        traceback.print_exc()
