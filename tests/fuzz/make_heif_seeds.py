"""Writes the seeds of corpus/heif that are made of several pictures, and those that lie about it.

pillow-heif 1.8. Run it here: python make_heif_seeds.py. The others are pictures of tests/golden/image.
"""

import io
import pathlib
import struct
import sys

import numpy as np
import pillow_heif
from PIL import Image

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE / "../golden/image"))
from heif_boxes import Coded, Item, box, children, full_box, grid, heif, ispe, mirrored, overlay, rotated  # noqa: E402

pillow_heif.register_heif_opener()


def part(seed, width=32, height=32, mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (2, 2, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((width, height), Image.BICUBIC).convert(mode)
    out = io.BytesIO()
    image.save(out, "HEIF", quality=30)
    return Coded(out.getvalue())


def coded(some, **more):
    return Item(b"hvc1", some.data, some.properties, **more)


def first_unit(some, kind):
    """A unit of this kind of the picture's configuration, behind its length of four bytes."""
    (configuration,) = [p[8:] for p in some.properties if p[4:8] == b"hvcC"]
    at = 23
    for _ in range(configuration[22]):
        units = struct.unpack_from(">H", configuration, at + 1)[0]
        at += 3
        for _ in range(units):
            length = struct.unpack_from(">H", configuration, at)[0]
            unit = configuration[at + 2 : at + 2 + length]
            if unit[0] >> 1 & 63 == kind:
                return struct.pack(">I", length) + unit
            at += 2 + length
    raise ValueError(kind)


def main():
    parts = [part(seed) for seed in range(4)]
    tiles = [coded(p, hidden=True) for p in parts]
    opacity = part(9, mode="L")
    is_alpha = full_box(b"auxC", b"urn:mpeg:hevc:2015:auxid:1\0")

    def save(name, data):
        assert len(data) < 1 << 16, name
        (HERE / "corpus/heif" / f"{name}.heic").write_bytes(data)

    def canvas(kind, data, width, height, made_of, *more, **options):
        return Item(kind, data, [ispe(width, height), *more], made_of, **options)

    def of_tiles(width=60, height=50, *more, **options):
        return canvas(b"grid", grid(2, 2, width, height), width, height, [1, 2, 3, 4], *more, **options)

    save("grid", heif([*tiles, of_tiles()], 5))
    save("grid_turned", heif([*tiles, of_tiles(60, 50, rotated(1), mirrored(0))], 5, version=2))
    save("grid_in_pieces", heif([*tiles, of_tiles()], 5, version=0, extents=3))
    laid = canvas(b"iovl", overlay(70, 60, [(-5, 3), (30, -8)]), 70, 60, [1, 2])
    seen_through = Item(b"hvc1", opacity.data, [*opacity.properties, is_alpha], alpha_of=1)
    save("overlay", heif([*tiles[:2], laid, seen_through], 3))
    save("identity_of_grid", heif([*tiles, of_tiles(hidden=True), canvas(b"iden", b"", 60, 50, [5], rotated(3))], 6))
    save("premultiplied", heif([coded(parts[0]), seen_through], 1, premultiplied=1))

    # What takes more than it looks, refused before anything is decoded.
    for kind, data in (("overlay", overlay(20000, 20000, [(0, 0)])), ("grid", grid(1, 1, 20000, 20000))):
        name = {"overlay": b"iovl", "grid": b"grid"}[kind]
        save(f"hostile_{kind}_canvas", heif([tiles[0], canvas(name, data, 32, 32, [1])], 2))
    save("hostile_one_tile_often", heif([tiles[0], canvas(b"grid", grid(64, 32, 100, 100), 100, 100, [1] * 2048)], 2))
    save("hostile_circle", heif([canvas(b"iden", b"", 32, 32, [2]), canvas(b"iden", b"", 32, 32, [1])], 1))
    deep = [tiles[0]] + [canvas(b"iden", b"", 32, 32, [number], hidden=number < 12) for number in range(1, 13)]
    save("hostile_depth", heif(deep, 13))
    large = first_unit(part(0, 4096, 4096), 33)
    save("hostile_set_inside", heif([Item(b"hvc1", large + parts[0].data, parts[0].properties)], 1))
    save("hostile_pictures_inside", heif([Item(b"hvc1", parts[0].data * 20, parts[0].properties)], 1))
    plain = heif([coded(parts[0])], 1)
    save("hostile_two_metas", plain + box(b"meta", dict(children(plain)[1])[b"meta"]))


main()
