"""The boxes of a HEIF (ISO/IEC 14496-12, 23008-12): the coded picture that an encoder wrote, taken
out, and files put together of such pictures by hand: grids, overlays and identities, which no
encoder at hand writes.
"""

import struct


def box(kind, body):
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind, body, version=0, flags=0):
    return box(kind, struct.pack(">I", version << 24 | flags) + body)


def children(data):
    """{kind: body} of boxes that stand one behind the other, and the list of (kind, body)."""
    found, at = [], 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, data[at + 8 : at + size]))
        at += size
    return dict(found), found


class Coded:
    """The primary item of an encoder's file: its data, and its properties as whole boxes."""

    def __init__(self, file):
        meta = children(children(file)[0][b"meta"][4:])[0]
        item = struct.unpack_from(">H", meta[b"pitm"], 4)[0]
        properties = children(meta[b"iprp"])[0]
        boxes = [box(*entry) for entry in children(properties[b"ipco"])[1]]
        self.properties = [boxes[i - 1] for i in self._associations(properties[b"ipma"], item)]
        self.data = self._data(file, meta, item)

    @staticmethod
    def _associations(ipma, item):
        at = 8
        for _ in range(struct.unpack_from(">I", ipma, 4)[0]):
            number, count = struct.unpack_from(">HB", ipma, at)
            if number == item:
                return [value & 127 for value in ipma[at + 3 : at + 3 + count]]
            at += 3 + count
        raise ValueError("no properties")

    @staticmethod
    def _data(file, meta, item):
        iloc = meta[b"iloc"]
        version, sizes = iloc[0], struct.unpack_from(">H", iloc, 4)[0]
        offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
        at = 8
        for _ in range(struct.unpack_from(">H", iloc, 6)[0]):
            number = struct.unpack_from(">H", iloc, at)[0]
            at += 2 + (2 if version else 0) + 2
            base = int.from_bytes(iloc[at : at + base_size], "big")
            extents = struct.unpack_from(">H", iloc, at + base_size)[0]
            at += base_size + 2
            data = b""
            for _ in range(extents):
                offset = base + int.from_bytes(iloc[at : at + offset_size], "big")
                length = int.from_bytes(iloc[at + offset_size : at + offset_size + length_size], "big")
                data += file[offset : offset + length]
                at += offset_size + length_size
            if number == item:
                return data
        raise ValueError("no data")


def ispe(width, height):
    return full_box(b"ispe", struct.pack(">II", width, height))


def rotated(quarters):
    """Against the clock."""
    return box(b"irot", bytes([quarters]))


def mirrored(axis):
    """0: top and bottom change; 1: left and right."""
    return box(b"imir", bytes([axis]))


def cropped(width, height, whole, at):
    """So many pixels, their upper left corner at `at` of the `whole`."""
    fields = [width, 1, height, 1]
    for corner, size, side in zip(at, (width, height), whole):
        fields += [2 * corner + size - side, 2]  # from the middle
    return box(b"clap", struct.pack(">IIIIiIiI", *fields))


def grid(rows, columns, width, height, wide=False):
    return struct.pack(">BBBB", 0, int(wide), rows - 1, columns - 1) + struct.pack(">II" if wide else ">HH", width, height)


def overlay(width, height, offsets, background=(0, 0, 0, 65535), wide=False):
    body = struct.pack(">BB4H", 0, int(wide), *background)
    body += struct.pack(">II" if wide else ">HH", width, height)
    return body + b"".join(struct.pack(">ii" if wide else ">hh", *offset) for offset in offsets)


class Item:
    def __init__(self, kind, data, properties, made_of=(), hidden=False, alpha_of=None, thumbnail_of=None):
        self.kind, self.data, self.properties = kind, data, properties
        self.made_of, self.hidden = made_of, hidden
        self.alpha_of, self.thumbnail_of = alpha_of, thumbnail_of


def heif(items, primary, version=1, in_idat=True, extents=1, brand=b"heic", premultiplied=None):
    """Items of numbers 1 and up. Derived items' data lies in idat (iloc of version 1 or 2) or, as all
    others, in mdat, cut into so many extents. One item's colours may be multiplied by its alpha."""
    properties = []
    for item in items:
        properties += [p for p in item.properties if p not in properties]
    wide = version == 2  # item numbers of 32 bits
    number = ">I" if wide else ">H"
    entries = associations = references = b""
    idat, media, places = b"", b"", []
    for index, item in enumerate(items, 1):
        entries += full_box(b"infe", struct.pack(number, index) + b"\0\0" + item.kind + b"\0", 3 if wide else 2, int(item.hidden))
        wanted = [properties.index(p) + 1 for p in item.properties]
        associations += struct.pack(number, index) + bytes([len(wanted)]) + bytes(wanted)
        for kind, targets in ((b"dimg", item.made_of), (b"auxl", [item.alpha_of]), (b"thmb", [item.thumbnail_of]), (b"prem", [index if index == premultiplied else None])):
            targets = [t for t in targets if t is not None]
            if targets:
                references += box(kind, struct.pack(number, index) + struct.pack(">H", len(targets)) + b"".join(struct.pack(number, t) for t in targets))
        inside = in_idat and version > 0 and item.kind in (b"grid", b"iovl")
        places.append((inside, len(idat) if inside else len(media), len(item.data)))
        if inside:
            idat += item.data
        else:
            media += item.data

    def meta(media_at):
        iloc = struct.pack(">H", 0x4440) + struct.pack(">I" if wide else ">H", len(items))
        for index, (inside, offset, length) in enumerate(places, 1):
            cuts = [length * i // extents for i in range(extents + 1)]
            iloc += struct.pack(number, index)
            if version > 0:
                iloc += struct.pack(">H", int(inside))
            iloc += struct.pack(">HIH", 0, 0 if inside else media_at, extents if length else 0)
            for start, end in zip(cuts, cuts[1:]) if length else ():
                iloc += struct.pack(">II", offset + start, end - start)
        body = full_box(b"hdlr", b"\0\0\0\0pict" + b"\0" * 13)
        body += full_box(b"pitm", struct.pack(number, primary), int(wide))
        body += full_box(b"iloc", iloc, version)
        body += full_box(b"iinf", struct.pack(">H", len(items)) + entries)
        if references:
            body += full_box(b"iref", references, int(wide))
        ipma = full_box(b"ipma", struct.pack(">I", len(items)) + associations, int(wide))
        body += box(b"iprp", box(b"ipco", b"".join(properties)) + ipma)
        if idat:
            body += box(b"idat", idat)
        return full_box(b"meta", body)

    start = box(b"ftyp", brand + b"\0\0\0\0mif1heic")
    media_at = len(start) + len(meta(0)) + 8
    return start + meta(media_at) + box(b"mdat", media)
