"""What is compared: one row of the table each, with the target of its ratio (peer / ours)."""
from dataclasses import dataclass, field

import models

# (engine, variant) of each precision; the fastest one counts.
PEERS = {
    "f32": [("onnx_runtime", "plain"), ("onnx_runtime", "fused"), ("open_vino", ""),
            ("pytorch", ""), ("pytorch", "compiled")],
    "bf16": [("open_vino", ""), ("pytorch", ""), ("pytorch", "compiled")],
    "int8": [("onnx_runtime", "plain"), ("onnx_runtime", "fused"), ("open_vino", ""),
             ("pytorch", "")],
}
LABELS = {"onnx_runtime": "ONNX Runtime", "open_vino": "OpenVINO", "pytorch": "PyTorch",
          "pytorch_train": "PyTorch", "pillow": "Pillow"}
# How far an answer may be from PyTorch's f32 one, as a share of the centred logits' length.
TOLERANCE = {"f32": 1e-3, "bf16": 0.1, "int8": 0.5}
# How far the loss and the gradient norm of a training step may be from ours, as a share of it.
STEP_TOLERANCE = {"f32": 1e-3, "bf16": 3e-2}


@dataclass
class Row:
    name: str
    title: str
    kind: str  # inference, train, pictures, startup, scaling
    target: float
    precision: str = "f32"
    size: int = 224
    batch: int = 1
    architecture: str = ""
    peers: list = field(default_factory=list)
    share_target: float = 0  # of the machine's peak: reached, it passes the row too


def inference_rows():
    targets = {("Ti", "f32"): 1.25, ("S", "f32"): 1.1, ("B", "f32"): 1.1}
    shares = {("B", "f32", 1): 0.82, ("B", "f32", 8): 0.85}
    for precision, peers in PEERS.items():
        for short, architecture in models.ARCHITECTURES.items():
            for batch in (1, 8):
                yield Row(name=f"{precision}-{short}-{batch}",
                          title=f"ViT-{short} {precision} batch {batch}", kind="inference",
                          target=targets.get((short, precision), 1.2), precision=precision,
                          batch=batch, architecture=architecture, peers=peers,
                          share_target=shares.get((short, precision, batch), 0))
    yield Row(name="f32-B-1024", title="ViT-B f32 at 1024×1024", kind="inference", target=1.1,
              size=1024, architecture=models.ARCHITECTURES["B"], peers=PEERS["f32"][:4])


def all_rows():
    rows = list(inference_rows())
    for case, title, size, batch in (("Ti4", "ViT-Ti/4 at 32", 32, 64),
                                     ("Ti16", "ViT-Ti/16 at 224", 224, 16)):
        for precision, target in (("f32", 1.3), ("bf16", 1.2)):
            rows.append(Row(name=f"train-{case}-{precision}", kind="train", precision=precision,
                            title=f"training step, {title}, batch {batch}, {precision}",
                            target=target, size=size, batch=batch, architecture=case,
                            peers=[("pytorch_train", "")]))
    rows.append(Row("pictures", "decode, resize, crop, normalise; one thread", "pictures", 2.0,
                    peers=[("pillow", "")]))
    for name, precision in (("startup", "f32"), ("startup-int8", "int8")):
        rows.append(Row(name, f"process start to first answer, ViT-B {precision}", "startup", 2.0,
                        precision=precision, architecture=models.ARCHITECTURES["B"],
                        peers=[("onnx_runtime", "plain")]))
    rows.append(Row("scaling", "two threads, two sessions; ViT-B f32 batch 8", "scaling", 0.95,
                    batch=8, architecture=models.ARCHITECTURES["B"]))
    rows.append(Row("gemm", "matrix products against oneDNN", "gemm", 1.0))
    return rows


def label(engine, variant):
    return LABELS[engine] if variant in ("", "plain") else f"{LABELS[engine]} {variant}"


def select(patterns):
    """Rows named so, or with more parts behind a dash ("f32-B"); all for none."""
    rows = all_rows()
    if not patterns:
        return rows
    chosen = [row for row in rows if any(f"{row.name}-".startswith(f"{p}-") for p in patterns)]
    if not chosen:
        names = ", ".join(row.name for row in rows)
        raise SystemExit(f"run: no row is named {' or '.join(patterns)}; there are {names}")
    return chosen
