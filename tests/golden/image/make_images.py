"""Writes the pictures of this folder and, in expected.json, what Pillow makes of them.

Pillow 13. Run it here: python make_images.py. Every picture is synthetic. Checksums are CRC-32 of
the raw interleaved bytes.
"""

import io
import json
import pathlib
import random
import struct
import warnings
import zlib

import numpy as np
from PIL import Image, ImageOps

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
random.seed(7)
NOISE = np.random.default_rng(7)
WIDTH, HEIGHT = 37, 23


def photo(width=WIDTH, height=HEIGHT, channels=3):
    """Smooth colour with some noise: neither flat nor incompressible."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        127 + 90 * np.sin(x / (5 + 2 * c) + c) * np.cos(y / (4 + c)) + NOISE.integers(-30, 30, x.shape)
        for c in range(channels)
    ]
    pixels = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


# ---- PNG, written here so that every colour type, depth and interlacing occurs ----


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def pack_rows(values, depth):
    """[h, w, channels] values to scanlines without filter."""
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    elif depth == 8:
        rows = [row.astype(np.uint8).tobytes() for row in values]
    else:
        rows = []
        for row in values[..., 0]:
            bits = "".join(format(int(v), f"0{depth}b") for v in row)
            bits += "0" * (-len(bits) % 8)
            rows.append(bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)))
    return b"".join(b"\0" + row for row in rows)


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(values, depth, color_type, before=b"", after=b"", interlaced=False):
    if values.ndim == 2:
        values = values[..., None]
    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    if interlaced:
        passes = [values[y::dy, x::dx] for x, y, dx, dy in ADAM7]
        raw = b"".join(pack_rows(p, depth) for p in passes if p.size)
    else:
        raw = pack_rows(values, depth)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(raw, 9))
        + after
        + chunk(b"IEND", b"")
    )


def palette(count):
    return chunk(b"PLTE", bytes(random.randrange(256) for _ in range(3 * count)))


def values(depth, channels):
    return NOISE.integers(0, 1 << depth, (HEIGHT, WIDTH, channels))


def write_pngs(save):
    channels_of = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
    for color_type, depths in {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}.items():
        for depth in depths:
            for interlaced in (False, True):
                before = palette(1 << depth) if color_type == 3 else b""
                name = f"png_type{color_type}_depth{depth}{'_interlaced' if interlaced else ''}.png"
                save(name, png(values(depth, channels_of[color_type]), depth, color_type, before, b"", interlaced))
    grey16 = np.array([[0, 1, 127, 128, 254, 255, 256, 257, 511, 4096, 32768, 65534, 65535]])
    save("png_grey16_edges.png", png(grey16, 16, 0))
    save("png_palette_alpha.png", png(values(4, 1), 8, 3, palette(16) + chunk(b"tRNS", bytes(range(0, 160, 10)))))
    save("png_palette_one_transparent.png", png(values(4, 1), 8, 3, palette(16) + chunk(b"tRNS", b"\xff\xff\0")))
    save("png_palette_short.png", png(values(8, 1), 8, 3, palette(10)))
    save("png_grey_transparent.png", png(values(8, 1), 8, 0, chunk(b"tRNS", struct.pack(">H", 7))))
    save("png_bit_transparent.png", png(values(1, 1), 1, 0, chunk(b"tRNS", struct.pack(">H", 1))))
    save("png_rgb_transparent.png", png(values(8, 3), 8, 2, chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3))))
    save("png_gamma_and_profile.png", png(photo(), 8, 2, chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"sRGB", b"\0") + chunk(b"iCCP", b"broken\0\0" + zlib.compress(b"nothing"))))
    for width, height in ((1, 1), (1, 9), (9, 1), (3, 2)):
        save(f"png_{width}x{height}_interlaced.png", png(photo(width, height), 8, 2, interlaced=True))
    picture = Image.fromarray(photo(60, 40))
    filtered = io.BytesIO()
    picture.save(filtered, "PNG")  # the scanline filters that an encoder chooses
    save("png_filtered.png", filtered.getvalue())
    mode_pa = Image.fromarray(photo()).convert("RGBA").quantize(20)
    alpha = io.BytesIO()
    mode_pa.save(alpha, "PNG")
    save("png_quantized_with_alpha.png", alpha.getvalue())


# ---- JPEG ----


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def segments(data):
    """Yields (marker, start, end) up to the scan."""
    at = 2
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        yield marker, at, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def without_segment(data, unwanted):
    for marker, start, end in segments(data):
        if marker == unwanted:
            return data[:start] + data[end:]
    raise ValueError(unwanted)


def with_adobe_transform(data, transform):
    for marker, start, end in segments(data):
        if marker == 0xEE:
            return data[: end - 1] + bytes([transform]) + data[end:]
    raise ValueError("no Adobe marker")


class BaselineJpeg:
    """Random coefficients under any sampling factors: pictures that no common encoder writes."""

    def __init__(self, factors, width, height, extra=b""):
        model = jpeg(Image.fromarray(photo(16, 16)), quality=60)
        self.tables = {}
        header = b"\xff\xd8" + extra
        for marker, start, end in segments(model):
            if marker in (0xDB, 0xC4):
                header += model[start:end]
            if marker == 0xC4:
                self.read_huffman(model[start + 4 : end])
        high, wide = max(v for _, v in factors), max(h for h, _ in factors)
        sof = struct.pack(">BHHB", 8, height, width, len(factors))
        sos = bytes([len(factors)])
        for i, (h, v) in enumerate(factors):
            sof += bytes([i + 1, h << 4 | v, min(i, 1)])
            sos += bytes([i + 1, 0x11 * min(i, 1)])
        sos += bytes([0, 63, 0])
        self.bits, previous = [], [0] * len(factors)
        for _ in range(-(-width // (8 * wide)) * -(-height // (8 * high))):
            for i, (h, v) in enumerate(factors):
                for _ in range(h * v):
                    previous[i] = self.block(min(i, 1), previous[i])
        bits = "".join(self.bits)
        bits += "1" * (-len(bits) % 8)
        scan = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
        self.data = (
            header
            + b"\xff\xc0" + struct.pack(">H", len(sof) + 2) + sof
            + b"\xff\xda" + struct.pack(">H", len(sos) + 2) + sos
            + scan + b"\xff\xd9"
        )

    def read_huffman(self, body):
        while body:
            counts, code, at = body[1:17], 0, 17
            codes = {}
            for length, count in enumerate(counts, 1):
                for _ in range(count):
                    codes[body[at]] = format(code, f"0{length}b")
                    code, at = code + 1, at + 1
                code <<= 1
            self.tables[body[0]] = codes
            body = body[at:]

    def put(self, table, run, value):
        size = abs(value).bit_length()
        self.bits.append(self.tables[table][run << 4 | size])
        if size:
            self.bits.append(format(value if value > 0 else value + (1 << size) - 1, f"0{size}b"))

    def block(self, kind, previous):
        dc = random.randint(-40, 40)
        self.put(kind, 0, dc - previous)
        position = 0
        for _ in range(random.randint(0, 5)):
            run = random.randint(0, 6)
            position += run + 1
            self.put(0x10 | kind, run, random.choice([-6, -3, -2, -1, 1, 2, 4]))
        self.bits.append(self.tables[0x10 | kind][0])
        return dc


def write_jpegs(save):
    picture = Image.fromarray(photo(61, 43))
    grey = Image.fromarray(photo(61, 43, 1))
    for progressive in (False, True):
        kind = "progressive" if progressive else "baseline"
        for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
            save(f"jpeg_{name}_{kind}.jpg", jpeg(picture, quality=80, subsampling=subsampling, progressive=progressive))
        save(f"jpeg_grey_{kind}.jpg", jpeg(grey, quality=80, progressive=progressive))
    save("jpeg_rgb.jpg", jpeg(picture, quality=85, keep_rgb=True))
    save("jpeg_restarts.jpg", jpeg(picture, quality=70, restart_marker_blocks=2))
    save("jpeg_low_quality.jpg", jpeg(picture, quality=5))
    save("jpeg_1x1.jpg", jpeg(Image.fromarray(photo(1, 1)), quality=80))
    cmyk = Image.fromarray(photo(45, 31, 4), "CMYK")
    with_marker = jpeg(cmyk, quality=80)
    save("jpeg_cmyk.jpg", with_adobe_transform(with_marker, 0))
    save("jpeg_ycck.jpg", with_adobe_transform(with_marker, 2))
    save("jpeg_cmyk_without_adobe.jpg", without_segment(with_marker, 0xEE))
    save("jpeg_cmyk_progressive.jpg", jpeg(cmyk, quality=60, progressive=True))
    for name, luma in {"440": (1, 2), "411": (4, 1), "410": (4, 2), "441": (1, 4), "422": (2, 1), "420": (2, 2)}.items():
        save(f"jpeg_sampled_{name}.jpg", BaselineJpeg([luma, (1, 1), (1, 1)], 67, 53).data)
    save("jpeg_sampled_mixed.jpg", BaselineJpeg([(2, 2), (2, 1), (1, 2)], 67, 53).data)
    save("jpeg_sampled_chroma_larger.jpg", BaselineJpeg([(1, 1), (2, 2), (1, 1)], 35, 29).data)
    adobe = b"\xff\xee\0\x0eAdobe\0d\0\0\0\0\2"
    save("jpeg_sampled_ycck_420.jpg", BaselineJpeg([(2, 2), (1, 1), (1, 1), (2, 2)], 35, 29, adobe).data)


# ---- WebP ----


def webp(image, **options):
    out = io.BytesIO()
    image.save(out, "WEBP", **options)
    return out.getvalue()


def write_webps(save):
    rgb, rgba = Image.fromarray(photo(53, 37)), Image.fromarray(photo(53, 37, 4))
    save("webp_lossy.webp", webp(rgb, quality=70))
    save("webp_lossless.webp", webp(rgb, lossless=True))
    save("webp_lossy_alpha.webp", webp(rgba, quality=70))
    save("webp_lossless_alpha.webp", webp(rgba, lossless=True, exact=True))
    save("webp_1x1.webp", webp(Image.fromarray(photo(1, 1)), quality=80))
    frames = [Image.fromarray(photo(24, 18)) for _ in range(3)]
    animated = webp(frames[0], save_all=True, append_images=frames[1:], quality=60)
    save("webp_animated.webp", animated)
    # A larger canvas, and the first frame 6 right and 4 down in it.
    moved = bytearray(animated)
    canvas, frame = moved.index(b"VP8X") + 12, moved.index(b"ANMF") + 8
    moved[canvas : canvas + 6] = struct.pack("<I", 40 - 1)[:3] + struct.pack("<I", 30 - 1)[:3]
    moved[frame : frame + 6] = struct.pack("<I", 6 // 2)[:3] + struct.pack("<I", 4 // 2)[:3]
    save("webp_animated_offset.webp", bytes(moved))


# ---- Orientation ----


def tiff(orientation, big=False, kind=3):
    order = ">" if big else "<"
    value = struct.pack(order + "HH", orientation, 0) if kind == 3 else struct.pack(order + "I", orientation)
    entries = [(0x0100, 4, struct.pack(order + "I", 37)), (0x0112, kind, value)]
    body = struct.pack(order + "H", len(entries))
    for tag, entry_kind, data in entries:
        body += struct.pack(order + "HHI", tag, entry_kind, 1) + data
    return (b"MM\0*" if big else b"II*\0") + struct.pack(order + "I", 8) + body + struct.pack(order + "I", 0)


XMP = '<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def write_oriented(save):
    picture = Image.fromarray(photo(19, 11))
    for orientation in range(1, 9):
        save(f"exif_{orientation}.jpg", jpeg(picture, quality=90, exif=b"Exif\0\0" + tiff(orientation, orientation % 2 == 0)))
        save(f"exif_{orientation}.png", png(photo(19, 11), 8, 2, chunk(b"eXIf", tiff(orientation))))
        save(f"exif_{orientation}.webp", webp(picture, lossless=True, exif=tiff(orientation)))
    save("exif_long.jpg", jpeg(picture, quality=90, exif=b"Exif\0\0" + tiff(6, kind=4)))
    save("exif_nine.jpg", jpeg(picture, quality=90, exif=b"Exif\0\0" + tiff(9)))
    save("exif_after_pixels.png", png(photo(19, 11), 8, 2, after=chunk(b"eXIf", tiff(8))))
    save("exif_grey.png", png(photo(19, 11, 1), 8, 0, chunk(b"eXIf", tiff(5))))
    save("xmp.jpg", jpeg(picture, quality=90, xmp=XMP.encode()))
    save("xmp.png", png(photo(19, 11), 8, 2, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP.encode())))
    save("xmp.webp", webp(picture, lossless=True, xmp=XMP.encode()))


def checksum(image):
    return zlib.crc32(np.asarray(image).tobytes())


def main():
    for old in HERE.glob("*.*"):
        if old.suffix in (".png", ".jpg", ".webp"):
            old.unlink()
    expected = []

    def save(name, data):
        (HERE / name).write_bytes(data)
        rgb = Image.open(io.BytesIO(data)).convert("RGB")
        grey = Image.open(io.BytesIO(data)).convert("L")
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        entry = {"file": name, "size": list(rgb.size), "rgb": checksum(rgb), "grey": checksum(grey)}
        if name.startswith(("exif", "xmp")):
            entry.update(upright_size=list(upright.size), upright=checksum(upright))
        if rgb.size[0] * rgb.size[1] <= 20:
            entry["pixels"] = np.asarray(rgb).reshape(-1).tolist()
        expected.append(entry)

    write_pngs(save)
    write_jpegs(save)
    write_webps(save)
    write_oriented(save)
    lines = ",\n".join(json.dumps(entry) for entry in expected)
    (HERE / "expected.json").write_text("[\n" + lines + "\n]\n")


main()
