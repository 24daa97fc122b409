"""What the figures were measured on, without names of hosts."""
import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("onnxruntime", "openvino", "nncf", "torch", "timm", "numpy", "pillow")


def cpu_field(name):
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def features():
    flags = cpu_field("flags").split()
    wanted = {"avx2": "AVX2", "avx_vnni": "AVX-VNNI", "avx512f": "AVX-512",
              "avx512_vnni": "AVX512-VNNI", "avx512_bf16": "AVX512-BF16", "amx_tile": "AMX"}
    return [name for flag, name in wanted.items() if flag in flags]


def describe():
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"cpu": cpu_field("model name") or platform.machine(),
            "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory / 2**30),
            "features": features(), "system": f"Linux {platform.release().split('-')[0]}",
            "python": platform.python_version(), "versions": versions}
