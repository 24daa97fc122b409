"""Writes the GIF, BMP, TIFF, AVIF and HEIF pictures of this folder and, in formats.json, what Pillow
makes of them ("refused" where it reads none).

Pillow 13, pillow-heif 1.8, and avifenc of libavif 0.11 or later for more than 8 bits. Run it here:
python make_formats.py. Every picture is synthetic. Checksums are CRC-32 of the raw interleaved bytes.
"""

import io
import json
import pathlib
import struct
import subprocess
import tempfile
import warnings
import zlib

import heif_boxes
import numpy as np
import pillow_heif
from PIL import Image, ImageOps

warnings.filterwarnings("ignore")
pillow_heif.register_heif_opener()
HERE = pathlib.Path(__file__).parent
NOISE = np.random.default_rng(16)
WIDTH, HEIGHT = 21, 13
# What Pillow reads by a rule that Vitrail does not follow: colour management, floats cut to bytes.
NOT_READ = {"tiff_lab.tif", "tiff_float.tif"}
# Of heif_part(): noise in whose chroma versions of libde265 do not disagree by a step.
FOUR_SEEDS = (1, 4, 6, 7)
SUFFIXES = (".gif", ".bmp", ".dib", ".tif", ".avif", ".heic")


def photo(width=WIDTH, height=HEIGHT, channels=3):
    """Smooth colour with some noise: neither flat nor incompressible."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        127 + 90 * np.sin(x / (5 + 2 * c) + c) * np.cos(y / (4 + c)) + NOISE.integers(-30, 30, x.shape)
        for c in range(channels)
    ]
    pixels = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def values(bits, channels=1, width=WIDTH, height=HEIGHT):
    return NOISE.integers(0, 1 << bits, (height, width, channels), dtype=np.uint64)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pack(row, bits, low_first=False):
    """Values of a row to bytes, the first in the highest bits."""
    text = "".join(format(int(v), f"0{bits}b") for v in row)
    text += "0" * (-len(text) % 8)
    packed = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    return bytes(int(format(b, "08b")[::-1], 2) for b in packed) if low_first else packed


# ---- GIF ----


def lzw(indices, bits, clear_every=0, end=True):
    """GIF's codes, one literal each or the longest strings; in blocks."""
    clear, stop = 1 << bits, (1 << bits) + 1
    codes, size = [], bits + 1
    table, following = {}, stop + 1

    def put(code):
        codes.append(format(code, f"0{size}b"))

    put(clear)
    text = ()
    for count, index in enumerate(indices):
        if clear_every and count and count % clear_every == 0:
            put(table[text] if len(text) > 1 else text[0])
            put(clear)
            table, following, size, text = {}, stop + 1, bits + 1, ()
        longer = text + (int(index),)
        if len(longer) == 1 or longer in table:
            text = longer
            continue
        put(table[text] if len(text) > 1 else text[0])
        if following < 4096:
            table[longer] = following
            if following == 1 << size and size < 12:
                size += 1
            following += 1
        text = (int(index),)
    put(table[text] if len(text) > 1 else text[0])
    if following == 1 << size and size < 12:
        size += 1
    if end:
        put(stop)
    stream = "".join(reversed(codes))
    stream = "0" * (-len(stream) % 8) + stream
    data = bytes(int(stream[i : i + 8], 2) for i in range(0, len(stream), 8))[::-1]
    blocks = b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255))
    return bytes([bits]) + blocks + b"\0"


def gif_frame(indices, at=(0, 0), palette=None, interlaced=False, bits=8, clear_every=0):
    height, width = indices.shape
    flags = 0x40 * interlaced
    table = b""
    if palette is not None:
        flags |= 0x80 | (len(palette) // 3).bit_length() - 2
        table = palette
    if interlaced:
        indices = np.concatenate([indices[0::8], indices[4::8], indices[2::4], indices[1::2]])
    return (
        b","
        + struct.pack("<HHHHB", *at, width, height, flags)
        + table
        + lzw(indices.reshape(-1), bits, clear_every)
    )


def gif(frames, size=(WIDTH, HEIGHT), palette=None, version=b"GIF89a"):
    flags = 0x80 | (len(palette) // 3).bit_length() - 2 if palette is not None else 0
    return version + struct.pack("<HHBBB", *size, flags, 0, 0) + (palette or b"") + b"".join(frames) + b";"


def gif_control(transparent=None, disposal=0):
    flags = disposal << 2 | (transparent is not None)
    return b"!\xf9\x04" + struct.pack("<BHB", flags, 5, transparent or 0) + b"\0"


def write_gifs(save):
    palette = bytes(NOISE.integers(0, 256, 768, dtype=np.uint8))
    whole = values(8)[..., 0]
    save("gif_256.gif", gif([gif_frame(whole)], palette=palette))
    save("gif_87a.gif", gif([gif_frame(whole)], palette=palette, version=b"GIF87a"))
    save("gif_interlaced.gif", gif([gif_frame(whole, interlaced=True)], palette=palette))
    for size in ((1, 1), (3, 2), (2, 5), (9, 7)):
        some = values(8, 1, *size)[..., 0]
        save(f"gif_{size[0]}x{size[1]}_interlaced.gif", gif([gif_frame(some, interlaced=True)], size, palette))
    for bits in (1, 2, 4, 7):
        few = values(bits)[..., 0]
        save(f"gif_{1 << bits}_colours.gif", gif([gif_frame(few, bits=max(bits, 2))], palette=palette[: 3 << bits]))
    save("gif_short_palette.gif", gif([gif_frame(whole)], palette=palette[:24]))
    save("gif_no_palette.gif", gif([gif_frame(whole)]))
    save("gif_local_palette.gif", gif([gif_frame(whole, palette=palette[::-1])], palette=palette))
    ramp = bytes(i // 3 for i in range(768))
    save("gif_grey_palette.gif", gif([gif_frame(whole)], palette=ramp))
    save("gif_grey_local_palette.gif", gif([gif_frame(whole, palette=ramp)], palette=palette))
    save("gif_transparent.gif", gif([gif_control(7), gif_frame(whole)], palette=palette))
    small = values(8, 1, 9, 5)[..., 0]
    save("gif_offset.gif", gif([gif_frame(small, (4, 3))], palette=palette))
    save("gif_offset_transparent.gif", gif([gif_control(9, 2), gif_frame(small, (4, 3))], palette=palette))
    save("gif_offset_grey.gif", gif([gif_control(9), gif_frame(small, (4, 3))]))
    save("gif_beyond_screen.gif", gif([gif_frame(whole, (4, 3))], palette=palette))
    save("gif_animated.gif", gif([gif_control(3, 2), gif_frame(whole), gif_control(3), gif_frame(small)], palette=palette))
    save("gif_comments.gif", gif([b"!\xfe\x03abc\x02de\0", b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0", b"\0\0", gif_frame(whole)], palette=palette))
    save("gif_cleared.gif", gif([gif_frame(whole, clear_every=40)], palette=palette))
    flat = np.zeros((90, 110), np.int64)
    flat[30:60] = values(3, 1, 110, 30)[..., 0].astype(np.int64)
    save("gif_full_table.gif", gif([gif_frame(np.tile(values(8, 1, 110, 45)[..., 0], (2, 1)))], (110, 90), palette))
    save("gif_long_strings.gif", gif([gif_frame(flat)], (110, 90), palette))
    save("gif_no_trailer.gif", gif([gif_frame(whole)], palette=palette)[:-1])
    save("gif_pillow.gif", saved(Image.fromarray(photo()), "GIF"))
    save("gif_no_frame.gif", gif([], palette=palette))


# ---- BMP ----


def bmp(rows, bits, palette=b"", header=40, compression=0, masks=b"", flipped=False, colors=0, gap=0, size=None, file_header=True):
    """rows from the top, each as it lies in the file without padding."""
    width, height = size or (WIDTH, len(rows))
    if isinstance(rows, bytes):
        body = rows
    else:
        padded = [row + b"\0" * (-len(row) % 4) for row in rows]
        body = b"".join(padded if flipped else padded[::-1])
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if flipped else height, 1, bits, compression, len(body), 2835, 2835, colors, 0)
        if header > 40:
            info += (masks + b"\0" * header)[: header - 40]
            masks = b""
    extra = masks + palette + b"\0" * gap
    if not file_header:
        return info + extra + body
    offset = 14 + len(info) + len(extra)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + info + extra + body


def rle(indices, nibbles):
    """Each row as a run, a few pixels as they are, and runs of the rest."""
    out = b""
    for row in indices[::-1]:
        out += bytes([2, row[0] * 17 if nibbles else row[0]])
        literal = [int(v) for v in row[2:9]]
        out += bytes([0, len(literal)])
        if nibbles:
            body = pack(literal, 4)
        else:
            body = bytes(literal)
        out += body + b"\0" * (len(body) % 2)
        for value in row[9:]:
            out += bytes([1, int(value) * 17 if nibbles else int(value)])
        out += b"\0\0"
    return out + b"\0\1"


def write_bmps(save):
    colors = [bytes(NOISE.integers(0, 256, 3, dtype=np.uint8)) + b"\0" for _ in range(256)]
    for bits in (1, 4, 8):
        index = values(bits)[..., 0]
        rows = [pack(row, bits) for row in index]
        palette = b"".join(colors[: 1 << bits])
        save(f"bmp_{bits}.bmp", bmp(rows, bits, palette))
        save(f"bmp_{bits}_top_down.bmp", bmp(rows, bits, palette, flipped=True))
        save(f"bmp_{bits}_os2.bmp", bmp(rows, bits, b"".join(c[:3] for c in colors[: 1 << bits]), header=12))
        save(f"bmp_{bits}_gap.bmp", bmp(rows, bits, palette, gap=8))
    eight = [pack(row, 8) for row in values(8)[..., 0]]
    save("bmp_8_few_colours.bmp", bmp(eight, 8, b"".join(colors[:20]), colors=20))
    save("bmp_8_grey.bmp", bmp(eight, 8, b"".join(bytes([i, i, i, 0]) for i in range(256))))
    save("bmp_8_grey_turned.bmp", bmp(eight, 8, b"".join(bytes([i, i, i, 0]) for i in range(255, -1, -1))))
    save("bmp_8_black_white.bmp", bmp(eight, 8, b"\0\0\0\0\xff\xff\xff\0", colors=2))
    four = [pack(row, 4) for row in values(4)[..., 0]]
    save("bmp_4_grey.bmp", bmp(four, 4, b"".join(bytes([17 * i] * 3 + [0]) for i in range(16))))
    one = [pack(row, 1) for row in values(1)[..., 0]]
    save("bmp_1_black_white.bmp", bmp(one, 1, b"\0\0\0\0\xff\xff\xff\0"))
    save("bmp_1_white_black.bmp", bmp(one, 1, b"\xff\xff\xff\0\0\0\0\0"))
    deep = {bits: [row.astype(f"<u{bits // 8}" if bits != 24 else "<u4").tobytes() if bits != 24 else b"".join(int(v).to_bytes(3, "little") for v in row) for row in values(bits)[..., 0]] for bits in (16, 24, 32)}
    for bits, rows in deep.items():
        save(f"bmp_{bits}.bmp", bmp(rows, bits))
        save(f"bmp_{bits}_top_down.bmp", bmp(rows, bits, flipped=True))
        save(f"bmp_{bits}_os2.bmp", bmp(rows, bits, header=12))
    fields = {
        16: [(0xF800, 0x7E0, 0x1F, 0), (0x7C00, 0x3E0, 0x1F, 0), (0xF00, 0xF0, 0xF, 0)],
        24: [(0xFF0000, 0xFF00, 0xFF, 0)],
        32: [
            (0xFF0000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0),
            (0xFF000000, 0xFF00, 0xFF, 0),
            (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
            (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
            (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
            (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
            (0, 0, 0, 0),
            (0x3FF00000, 0xFFC00, 0x3FF, 0),
        ],
    }
    for bits, kinds in fields.items():
        for number, masks in enumerate(kinds):
            packed = struct.pack("<4I", *masks)
            save(f"bmp_{bits}_fields_{number}.bmp", bmp(deep[bits], bits, header=124, compression=3, masks=packed))
            if masks[3] == 0:
                save(f"bmp_{bits}_fields_{number}_v1.bmp", bmp(deep[bits], bits, compression=3, masks=packed[:12]))
    save("bmp_32_fields_v2.bmp", bmp(deep[32], 32, header=52, compression=3, masks=struct.pack("<3I", 0xFF0000, 0xFF00, 0xFF)))
    save("bmp_32_fields_v3.bmp", bmp(deep[32], 32, header=56, compression=3, masks=struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)))
    save("bmp_24_v4.bmp", bmp(deep[24], 24, header=108))
    save("bmp_24_os2_v2.bmp", bmp(deep[24], 24, header=64))
    size = (WIDTH, HEIGHT)
    index = values(8)[..., 0]
    save("bmp_rle8.bmp", bmp(rle(index, False), 8, b"".join(colors), compression=1, size=size))
    save("bmp_rle4.bmp", bmp(rle(values(4)[..., 0], True), 4, b"".join(colors[:16]), compression=2, size=size))
    skips = b"\x05\x07\0\2\3\1\x04\x09\0\0\0\2\0\4\2\x08" + b"\0\0" * HEIGHT + b"\0\1"
    save("bmp_rle8_skips.bmp", bmp(skips, 8, b"".join(colors), compression=1, size=size))
    save("bmp_rle8_short.bmp", bmp(b"\x05\x07\0\1", 8, b"".join(colors), compression=1, size=size))
    save("bmp_rle8_too_long.bmp", bmp(b"".join(b"\xff" + bytes([i]) + b"\0\0" for i in range(HEIGHT)) + b"\0\1", 8, b"".join(colors), compression=1, size=size))
    save("bmp_rle8_grey.bmp", bmp(rle(index, False), 8, b"".join(bytes([i, i, i, 0]) for i in range(256)), compression=1, size=size))
    save("bmp_jpeg_inside.bmp", bmp(deep[24], 24, compression=4))
    save("bmp_unpadded_end.bmp", bmp(deep[24], 24)[:-1])
    save("bmp_dib.dib", bmp(deep[24], 24, file_header=False))
    save("bmp_dib_8.dib", bmp(eight, 8, b"".join(colors), file_header=False))
    save("bmp_pillow.bmp", saved(Image.fromarray(photo()), "BMP"))


# ---- TIFF ----

SHORT, LONG = 3, 4


def tiff(parts, tags, big=False, bigtiff=False, next_directory=None):
    """A directory of the tags (tag: (type, values)) and the strips or tiles."""
    order = ">" if big else "<"
    sizes = {SHORT: "H", LONG: "I"}
    tags = dict(tags)
    place = 324 if 322 in tags else 273
    header = 16 if bigtiff else 8
    offsets, body = [], b""
    for part in parts:
        offsets.append(header + len(body))
        body += part + b"\0" * (len(part) % 2)
    tags[place] = (LONG, offsets)
    tags[325 if place == 324 else 279] = (LONG, [len(part) for part in parts])
    entry_bytes, inline = (20, 8) if bigtiff else (12, 4)
    count_bytes, next_bytes = (8, 8) if bigtiff else (2, 4)
    directory_at = header + len(body)
    far_at = directory_at + count_bytes + entry_bytes * len(tags) + next_bytes
    entries, far = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(numbers)}{sizes[kind]}", *numbers)
        entries += struct.pack(order + ("HHQ" if bigtiff else "HHI"), tag, kind, len(numbers))
        if len(data) <= inline:
            entries += data + b"\0" * (inline - len(data))
        else:
            entries += struct.pack(order + ("Q" if bigtiff else "I"), far_at + len(far))
            far += data + b"\0" * (len(data) % 2)
    count = struct.pack(order + ("Q" if bigtiff else "H"), len(tags))
    mark = (b"MM" if big else b"II") + struct.pack(order + "H", 43 if bigtiff else 42)
    start = mark + (struct.pack(order + "HHQ", 8, 0, directory_at) if bigtiff else struct.pack(order + "I", directory_at))
    return start + body + count + entries + b"\0" * next_bytes + far


def sample_bytes(array, bits, big, low_first=False):
    """[height, width, samples] to the bytes of its rows."""
    order = ">" if big else "<"
    if bits in (8, 16, 32):
        rows = [row.reshape(-1).astype(f"{order}u{bits // 8}").tobytes() for row in array]
        return [bytes(int(format(b, "08b")[::-1], 2) for b in row) if low_first else row for row in rows]
    return [pack(row.reshape(-1), bits, low_first) for row in array]


def packbits(data):
    """Literals of at most 128 bytes."""
    return b"".join(bytes([len(data[i : i + 128]) - 1]) + data[i : i + 128] for i in range(0, len(data), 128))


def make_tiff(array, photometric, bits, big=False, rows_per_strip=5, tile=None, planar=False, compression=1, extra=None, fill_order=None, sample_format=None, bigtiff=False, **more):
    height, width, samples = array.shape
    tags = {256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits] * samples), 259: (SHORT, [compression]), 262: (SHORT, [photometric]), 277: (SHORT, [samples])}
    if extra is not None:
        tags[338] = (SHORT, list(extra))
    if fill_order:
        tags[266] = (SHORT, [fill_order])
    if sample_format:
        tags[339] = (SHORT, [sample_format] * samples)
    if planar:
        tags[284] = (SHORT, [2])
    tags.update(more.get("tags", {}))
    low_first = fill_order == 2
    squeeze = {1: bytes, 8: zlib.compress, 32946: zlib.compress, 32773: packbits}[compression]
    planes = [array[..., s : s + 1] for s in range(samples)] if planar else [array]
    parts = []
    for plane in planes:
        if tile:
            tags[322], tags[323] = (LONG, [tile[0]]), (LONG, [tile[1]])
            for y in range(0, height, tile[1]):
                for x in range(0, width, tile[0]):
                    part = np.zeros((tile[1], tile[0], plane.shape[2]), plane.dtype)
                    piece = plane[y : y + tile[1], x : x + tile[0]]
                    part[: piece.shape[0], : piece.shape[1]] = piece
                    parts.append(squeeze(b"".join(sample_bytes(part, bits, big, low_first))))
        else:
            tags[278] = (LONG, [rows_per_strip])
            for y in range(0, height, rows_per_strip):
                rows = sample_bytes(plane[y : y + rows_per_strip], bits, big, low_first)
                parts.append(squeeze(b"".join(rows)))
    return tiff(parts, tags, big, bigtiff)


def write_tiffs(save):
    for big in (False, True):
        end = "mm" if big else "ii"
        for photometric in (0, 1):
            for bits in (1, 2, 4, 8):
                save(f"tiff_{end}_grey{bits}_{photometric}.tif", make_tiff(values(bits), photometric, bits, big))
        for bits in (1, 2, 4, 8):
            palette = {320: (SHORT, [int(v) for v in NOISE.integers(0, 65536, 3 << bits)])}
            save(f"tiff_{end}_palette{bits}.tif", make_tiff(values(bits), 3, bits, big, tags=palette))
        grey16 = values(16)
        grey16[::2] %= 300
        for bits, kind in ((16, 1), (16, 2), (32, 1), (32, 2)):
            deep = np.where(values(1) == 0, values(bits), values(9))
            save(f"tiff_{end}_grey{bits}_format{kind}.tif", make_tiff(deep, 1, bits, big, sample_format=kind))
            if not (big and bits == 32 and kind == 1):
                save(f"tiff_{end}_grey{bits}_format{kind}_deflate.tif", make_tiff(deep, 1, bits, big, sample_format=kind, compression=8))
        save(f"tiff_{end}_rgb8.tif", make_tiff(values(8, 3), 2, 8, big))
        save(f"tiff_{end}_rgb16.tif", make_tiff(values(16, 3), 2, 16, big))
        save(f"tiff_{end}_rgb16_deflate.tif", make_tiff(values(16, 3), 2, 16, big, compression=8))
        save(f"tiff_{end}_rgba16_multiplied.tif", make_tiff(values(16, 4), 2, 16, big, extra=[1]))
        save(f"tiff_{end}_cmyk16.tif", make_tiff(values(16, 4), 5, 16, big))
        save(f"tiff_{end}_planar.tif", make_tiff(values(8, 3), 2, 8, big, planar=True))
        save(f"tiff_{end}_tiled.tif", make_tiff(values(8, 3), 2, 8, big, tile=(16, 16)))
    save("tiff_grey16_0.tif", make_tiff(grey16, 0, 16))
    save("tiff_grey16_0_mm.tif", make_tiff(grey16, 0, 16, True))
    save("tiff_grey12.tif", make_tiff(values(12), 1, 12))
    save("tiff_grey8_signed.tif", make_tiff(values(8), 1, 8, sample_format=2))
    for extra in ([0], [2], [1]):
        save(f"tiff_grey_alpha{extra[0]}.tif", make_tiff(values(8, 2), 1, 8, extra=extra))
        save(f"tiff_rgba{extra[0]}.tif", make_tiff(values(8, 4), 2, 8, extra=extra))
        save(f"tiff_rgba{extra[0]}_deflate.tif", make_tiff(values(8, 4), 2, 8, extra=extra, compression=8))
        save(f"tiff_rgba{extra[0]}_more.tif", make_tiff(values(8, 6), 2, 8, extra=extra + [0, 0]))
        save(f"tiff_rgba{extra[0]}_planar.tif", make_tiff(values(8, 4), 2, 8, extra=extra, planar=True, compression=8))
    save("tiff_rgba_no_extra.tif", make_tiff(values(8, 4), 2, 8))
    save("tiff_cmyk.tif", make_tiff(values(8, 4), 5, 8))
    save("tiff_cmyk_extra.tif", make_tiff(values(8, 5), 5, 8, extra=[0]))
    save("tiff_cmyk_planar_deflate.tif", make_tiff(values(8, 4), 5, 8, planar=True, compression=8))
    save("tiff_ycbcr.tif", make_tiff(values(8, 3), 6, 8, tags={530: (SHORT, [1, 1])}))
    save("tiff_lab.tif", make_tiff(values(8, 3), 8, 8))
    save("tiff_float.tif", make_tiff(values(8), 1, 32, sample_format=3))
    save("tiff_rgb32.tif", make_tiff(values(32, 3), 2, 32))
    for bits in (1, 2, 4, 8):
        save(f"tiff_low_first{bits}.tif", make_tiff(values(bits), 1, bits, fill_order=2))
        save(f"tiff_low_first{bits}_packbits.tif", make_tiff(values(bits), 0, bits, compression=32773))
    save("tiff_low_first_rgb.tif", make_tiff(values(8, 3), 2, 8, fill_order=2))
    save("tiff_rgb16_planar_deflate.tif", make_tiff(values(16, 3), 2, 16, planar=True, compression=8))
    save("tiff_tiled_planar.tif", make_tiff(values(8, 3), 2, 8, tile=(16, 16), planar=True, compression=8))
    save("tiff_tiled_grey1.tif", make_tiff(values(1), 1, 1, tile=(16, 16), compression=8))
    save("tiff_tiled_deflate.tif", make_tiff(values(8, 3), 2, 8, tile=(32, 16), compression=32946))
    save("tiff_one_strip.tif", make_tiff(values(8, 3), 2, 8, rows_per_strip=HEIGHT))
    save("tiff_bigtiff.tif", make_tiff(values(8, 3), 2, 8, bigtiff=True))
    save("tiff_predictor.tif", make_tiff(values(8, 3), 2, 8, compression=8, tags={317: (SHORT, [2])}))
    save("tiff_extra_bits.tif", make_tiff(values(8), 1, 8, tags={258: (SHORT, [8, 8, 8])}))
    for orientation in range(1, 10):
        save(f"tiff_orientation{orientation}.tif", make_tiff(values(8, 3), 2, 8, tags={274: (SHORT, [orientation])}))
    save("tiff_orientation6_deflate.tif", make_tiff(values(8), 1, 8, compression=8, tags={274: (SHORT, [6])}))
    picture = Image.fromarray(photo())
    for compression in ("raw", "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "jpeg", "lzma", "zstd", "webp"):
        try:
            save(f"tiff_pillow_{compression}.tif", saved(picture, "TIFF", compression=compression))
        except OSError:
            pass  # this Pillow's libtiff lacks it
    for mode in ("L", "CMYK", "RGBA"):
        save(f"tiff_pillow_lzw_{mode}.tif", saved(picture.convert(mode), "TIFF", compression="tiff_lzw"))
    save("tiff_pillow_jpeg_L.tif", saved(picture.convert("L"), "TIFF", compression="jpeg", quality=70))
    save("tiff_pillow_jpeg_CMYK.tif", saved(picture.convert("CMYK"), "TIFF", compression="jpeg"))
    for compression in ("group3", "group4", "tiff_ccitt"):
        save(f"tiff_pillow_{compression}.tif", saved(picture.convert("1"), "TIFF", compression=compression))
    save("tiff_pillow_ycbcr_lzw.tif", saved(picture.convert("YCbCr"), "TIFF", compression="tiff_lzw"))
    save("tiff_pages.tif", saved(picture, "TIFF", save_all=True, append_images=[Image.fromarray(photo(8, 5))], compression="tiff_lzw"))


# ---- AVIF and HEIF ----


def avifenc(array, *options, bits=8):
    """More bits and properties than Pillow writes; `array` has 16 bits where bits is more than 8."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "a.png"), pathlib.Path(folder, "a.avif")
        if bits == 8:
            Image.fromarray(array).save(source)
        else:
            source.write_bytes(png16(array))
        subprocess.run(["avifenc", "-s", "9", "-d", str(bits), *options, source, target], check=True, capture_output=True)
        return target.read_bytes()


def png16(array):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, channels = array.shape
    raw = b"".join(b"\0" + row.reshape(-1).astype(">u2").tobytes() for row in array)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def deep_photo(channels=3):
    return photo(channels=channels).reshape(HEIGHT, WIDTH, channels).astype(np.uint32) * 256 + values(8, channels).astype(np.uint32)


def write_avifs(save):
    for sampling in ("4:2:0", "4:2:2", "4:4:4", "4:0:0"):
        for kind in ("full", "limited"):
            name = f"avif_{sampling.replace(':', '')}_{kind}"
            save(f"{name}.avif", saved(Image.fromarray(photo()), "AVIF", subsampling=sampling, range=kind, speed=9))
    save("avif_alpha.avif", saved(Image.fromarray(photo(channels=4)), "AVIF", speed=9))
    save("avif_alpha_grey.avif", saved(Image.fromarray(photo(channels=4)), "AVIF", subsampling="4:0:0", speed=9))
    save("avif_lossless.avif", saved(Image.fromarray(photo()), "AVIF", quality=100, subsampling="4:4:4", speed=9))
    save("avif_sequence.avif", saved(Image.fromarray(photo()), "AVIF", save_all=True, append_images=[Image.fromarray(photo())], speed=9))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"avif_orientation{orientation}.avif", saved(Image.fromarray(photo()), "AVIF", exif=exif, speed=9))
    for bits in (10, 12):
        for sampling in ("420", "444", "400"):
            save(f"avif_{bits}_{sampling}.avif", avifenc(deep_photo(), "-y", sampling, bits=bits))
    save("avif_10_alpha.avif", avifenc(deep_photo(4), bits=10))
    save("avif_10_limited.avif", avifenc(deep_photo(), "-r", "limited", bits=10))
    save("avif_premultiplied.avif", avifenc(photo(channels=4), "--premultiply"))
    save("avif_bt709.avif", avifenc(photo(), "--cicp", "1/13/1"))
    save("avif_bt2020.avif", avifenc(photo(), "--cicp", "9/16/9"))
    save("avif_identity.avif", avifenc(photo(), "--cicp", "1/13/0", "-y", "444"))
    save("avif_cropped.avif", avifenc(photo(64, 64), "--crop", "4,4,32,32"))
    save("avif_grid.avif", avifenc(photo(128, 128), "--grid", "2x2"))


def write_heifs(save):
    for sampling in ("420", "422", "444"):
        save(f"heif_{sampling}.heic", saved(Image.fromarray(photo(30, 18)), "HEIF", quality=60, chroma=sampling))
        save(f"heif_{sampling}_odd.heic", saved(Image.fromarray(photo()), "HEIF", quality=60, chroma=sampling))
    save("heif_grey.heic", saved(Image.fromarray(photo(channels=1)), "HEIF", quality=60))
    save("heif_alpha.heic", saved(Image.fromarray(photo(channels=4)), "HEIF", quality=60))
    save("heif_lossless.heic", saved(Image.fromarray(photo()), "HEIF", quality=-1, chroma="444", matrix_coefficients=0))
    save("heif_bt709.heic", saved(Image.fromarray(photo()), "HEIF", quality=60, matrix_coefficients=1))
    save("heif_limited.heic", saved(Image.fromarray(photo()), "HEIF", quality=60, full_range_flag=0))
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        # Half planes of even sizes: of odd ones, versions of libheif disagree in a sample.
        save(f"heif_orientation{orientation}.heic", saved(Image.fromarray(photo(32, 20)), "HEIF", quality=60, exif=exif))
    save("heif_several.heic", saved(Image.fromarray(photo()), "HEIF", quality=60, save_all=True, append_images=[Image.fromarray(photo(16, 8))]))
    save("heif_64.heic", saved(Image.fromarray(photo(64, 64)), "HEIF", quality=60))


def heif_part(kind, width=64, height=64, **options):
    """A coded picture to make others of."""
    global NOISE
    before, NOISE = NOISE, np.random.default_rng(kind)
    channels = options.pop("channels", 3)
    coded = heif_boxes.Coded(saved(Image.fromarray(photo(width, height, channels)), "HEIF", quality=60, **options))
    NOISE = before
    return coded


def smooth_heif_part(width, height, shift):
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 100 * np.sin((x + shift) / (70 + 20 * c) + c) * np.cos(y / (90 + c)) for c in range(3)]
    pixels = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return heif_boxes.Coded(saved(Image.fromarray(pixels), "HEIF", quality=60, chroma="420"))


def write_derived_heifs(save):
    """As phones write them: a canvas of tiles, turned; and what else is made of coded pictures."""
    box, item = heif_boxes, heif_boxes.Item

    def shared(part):
        return [p for p in part.properties if p[4:8] in (b"colr", b"pixi")]

    def hidden(part):
        return item(b"hvc1", part.data, part.properties, hidden=True)

    def grid(parts, rows, columns, width, height, *more, shown=None, wide=False, **options):
        data = box.grid(rows, columns, width, height, wide)
        made = item(b"grid", data, [box.ispe(width, height), *shared(parts[0]), *more], range(1, len(parts) + 1))
        return box.heif([hidden(p) for p in parts] + [made], len(parts) + 1, **options)

    four = [heif_part(seed, chroma="420") for seed in FOUR_SEEDS]
    sharp = [heif_part(seed, chroma="444") for seed in range(4)]
    grey = [heif_part(seed, channels=1) for seed in range(2)]
    save("heif_grid.heic", grid(four, 2, 2, 100, 90))
    save("heif_grid_444.heic", grid(sharp, 2, 2, 101, 91))
    save("heif_grid_grey.heic", grid(grey, 1, 2, 120, 64))
    save("heif_grid_once.heic", grid([four[0]], 1, 1, 64, 64))
    phone = [smooth_heif_part(512, 512, shift) for shift in (0, 31)]
    save("heif_grid_phone.heic", grid(phone, 2, 1, 500, 1000, box.rotated(3)))
    for quarters in (1, 2):
        save(f"heif_grid_turned{quarters}.heic", grid(four, 2, 2, 100, 90, box.rotated(quarters)))
    for axis in (0, 1):
        save(f"heif_grid_mirrored{axis}.heic", grid(four, 2, 2, 100, 90, box.mirrored(axis)))
    save("heif_grid_cropped.heic", grid(sharp, 2, 2, 100, 90, box.cropped(61, 40, (100, 90), (4, 6))))
    save("heif_grid_wide.heic", grid(four, 2, 2, 100, 90, wide=True, version=2))
    save("heif_grid_in_pieces.heic", grid(four, 2, 2, 100, 90, version=0, extents=3))
    save("heif_grid_in_pieces_of_idat.heic", grid(four, 2, 2, 100, 90, extents=2))
    save("heif_grid_mif1.heic", grid(four, 2, 2, 100, 90, brand=b"mif1"))
    short = [hidden(p) for p in four[:3]] + [item(b"grid", box.grid(2, 2, 100, 90), [box.ispe(100, 90)], [1, 2, 3])]
    save("heif_grid_short.heic", box.heif(short, 4))

    def overlay(parts, offsets, *more, **options):
        made = item(b"iovl", box.overlay(100, 90, offsets, (60000, 30000, 9000, 65535), **options), [box.ispe(100, 90), *more], range(1, len(offsets) + 1))
        return box.heif(parts + [made] if len(parts) == len(offsets) else parts[:2] + [made] + parts[2:], len(offsets) + 1)

    two = [hidden(p) for p in sharp[:2]]
    save("heif_overlay.heic", overlay(two, [(0, 0), (30, 20)]))
    save("heif_overlay_420.heic", overlay([hidden(p) for p in four[:2]], [(5, 6), (30, 20)]))
    save("heif_overlay_wide.heic", overlay(two, [(0, 0), (50, 40)], wide=True))
    save("heif_overlay_turned.heic", overlay(two, [(3, 2), (30, 20)], box.rotated(1)))
    save("heif_identity.heic", box.heif([hidden(sharp[0]), item(b"iden", b"", [box.ispe(64, 64)], [1])], 2))
    save("heif_identity_turned.heic", box.heif([hidden(sharp[0]), item(b"iden", b"", [box.ispe(64, 64), box.rotated(1)], [1])], 2))
    nested = [hidden(p) for p in four] + [item(b"grid", box.grid(2, 2, 100, 90), [box.ispe(100, 90), *shared(four[0]), box.rotated(1)], [1, 2, 3, 4], hidden=True)]
    save("heif_identity_of_grid.heic", box.heif(nested + [item(b"iden", b"", [box.ispe(90, 100), box.mirrored(1)], [5])], 6))
    # What is not asked for may be larger.
    small = heif_part(5, 24, 16, chroma="444")
    thumbnail = item(b"hvc1", sharp[0].data, sharp[0].properties, thumbnail_of=1)
    save("heif_large_thumbnail.heic", box.heif([item(b"hvc1", small.data, small.properties), thumbnail], 1))


def checksum(image):
    return zlib.crc32(np.asarray(image).tobytes())


def main():
    for old in HERE.glob("*.*"):
        if old.suffix in SUFFIXES:
            old.unlink()
    expected = []

    def opened(data):
        image = Image.open(io.BytesIO(data))
        image.load()
        return image

    def save(name, data):
        (HERE / name).write_bytes(data)
        try:
            if name in NOT_READ:
                raise NotImplementedError
            rgb = opened(data).convert("RGB")
        except Exception as error:
            expected.append({"file": name, "refused": type(error).__name__})
            return
        upright = ImageOps.exif_transpose(opened(data)).convert("RGB")
        entry = {"file": name, "size": list(rgb.size), "rgb": checksum(rgb), "grey": checksum(opened(data).convert("L"))}
        entry.update(upright_size=list(upright.size), upright=checksum(upright))
        expected.append(entry)

    write_gifs(save)
    write_bmps(save)
    write_tiffs(save)
    write_avifs(save)
    write_heifs(save)
    write_derived_heifs(save)
    lines = ",\n".join(json.dumps(entry) for entry in expected)
    (HERE / "formats.json").write_text("[\n" + lines + "\n]\n")


main()
