"""Rewrites a page of vitrail explain as a large model's would be: q and k in half precision, and
averaged over cells of patches. An independent second reading of what such a page means."""
import json
import math
import struct


def decode(text, alphabet, count):
    digit = {character: value for value, character in enumerate(alphabet)}
    raw = bytearray()
    for at in range(0, len(text), 5):
        word = 0
        for character in text[at:at + 5]:
            word = word * 85 + digit[character]
        raw += struct.pack("<I", word)
    return list(struct.unpack_from(f"<{count}f", raw))


def encode(values, kind, alphabet):
    raw = struct.pack(f"<{len(values)}{kind}", *values)
    raw += bytes(-len(raw) % 4)
    text = []
    for (word,) in struct.iter_unpack("<I", raw):
        text += [alphabet[word // 85 ** power % 85] for power in (4, 3, 2, 1, 0)]
    return "".join(text)


def halves(values):
    return list(struct.unpack(f"<{len(values)}e", struct.pack(f"<{len(values)}e", *values)))


def rewrite(html, cell):
    """The page's new text, and expected(layer, head, token): the row it must show."""
    opening = '<script type="application/json" id="data">'
    begin = html.index(opening) + len(opening)
    end = html.index("</script>", begin)
    data = json.loads(html[begin:end])
    alphabet, attention, layout = data["alphabet"], data["attention"], data["layout"]
    prefix, columns = len(layout["prefix"]), layout["columns"]
    tokens = prefix + layout["rows"] * columns
    cell_columns = -(-columns // cell)

    def place(token):
        patch = token - prefix
        return token if patch < 0 else \
            prefix + patch // columns // cell * cell_columns + patch % columns // cell

    members = {}
    for token in range(tokens):
        members.setdefault(place(token), []).append(token)
    stored = {}
    for layer in attention["layers"]:
        heads, dim, scale = layer["heads"], layer["dim"], layer["scale"]
        pooled = {}
        for name in "qk":
            values = decode(layer[name], alphabet, heads * tokens * dim)
            pooled[name] = halves([
                sum(values[(head * tokens + token) * dim + i] for token in group) / len(group)
                for head in range(heads) for _, group in sorted(members.items())
                for i in range(dim)])
            layer[name] = encode(pooled[name], "e", alphabet)
        count, weights, lse = len(members), {}, []
        for head in range(heads):
            for query in range(count):
                q = pooled["q"][(head * count + query) * dim:][:dim]
                raw = [len(members[key]) * math.exp(scale * sum(
                    a * b for a, b in zip(q, pooled["k"][(head * count + key) * dim:][:dim])))
                    for key in range(count)]
                lse.append(math.log(sum(raw)))
                weights[head, query] = [value / sum(raw) for value in raw]
        layer["lse"] = encode(lse, "f", alphabet)
        stored[layer["index"]] = weights
    attention["precision"], attention["cell"] = "f16", cell
    text = json.dumps(data).replace("<", "\\u003c")
    return html[:begin] + text + html[end:], \
        lambda layer, head, token: stored[layer][head, place(token)]
