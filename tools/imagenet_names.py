#!/usr/bin/env python3
"""Writes src/models/families/imagenet_names.cpp: the classes of ImageNet-1k in the order of every
model's head, which is that of their WordNet identifiers, each with a name from WordNet 3.0.
usage: tools/imagenet_names.py SYNSETS DATA_NOUN
SYNSETS has an identifier a line (timm's imagenet_synsets.txt); DATA_NOUN is WordNet's data.noun
(/usr/share/wordnet/data.noun of Debian's wordnet-base)."""
import collections
import pathlib
import sys

TARGET = pathlib.Path(__file__).resolve().parent.parent / "src/models/families/imagenet_names.cpp"
HEADER = '''// Written by tools/imagenet_names.py. The names are WordNet's first word for each synset, with the
// second where two classes share the first, or with what kind of thing it is.
//
// WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Permission to use, copy,
// modify and distribute this database for any purpose and without fee or royalty is granted,
// provided that this notice appears on all copies. THE DATABASE IS PROVIDED "AS IS" AND PRINCETON
// UNIVERSITY MAKES NO REPRESENTATIONS OR WARRANTIES, EXPRESS OR IMPLIED.
#include "models/families/imagenet_names.h"

#include <array>

namespace vitrail {
namespace {

// clang-format off: a line a class
constexpr std::array<ImageNetClass, 1000> kImageNetClasses = {{
'''
FOOTER = '''}};
// clang-format on

}  // namespace

std::span<const ImageNetClass> imagenet_classes() {
  return kImageNetClasses;
}

}  // namespace vitrail
'''

KINDS = {"05": "animal", "06": "artefact"}  # WordNet's lexicographer files


def words_of(line):
    """["beacon", "lighthouse", ...] of a line of data.noun; the count is hexadecimal."""
    fields = line.split(" ")
    return [fields[4 + 2 * i].replace("_", " ") for i in range(int(fields[3], 16))]


def main(synsets, data_noun):
    wnids = pathlib.Path(synsets).read_text().split()
    assert wnids == sorted(set(wnids)) and len(wnids) == 1000
    lines = {line[:8]: line
             for line in pathlib.Path(data_noun).read_text(encoding="latin-1").splitlines()
             if line[:8].isdigit()}
    words = [words_of(lines[wnid[1:]]) for wnid in wnids]
    shared = collections.Counter(entry[0] for entry in words)
    names = [entry[0] if shared[entry[0]] == 1 or len(entry) == 1 else ", ".join(entry[:2])
             for entry in words]
    twice = {name for name, count in collections.Counter(names).items() if count > 1}
    names = [f"{name} ({KINDS[lines[wnid[1:]].split(' ')[1]]})" if name in twice else name
             for wnid, name in zip(wnids, names)]
    assert len(set(names)) == len(names)
    rows = [f'    {{"{wnid}", "{name}"}},\n' for wnid, name in zip(wnids, names)]
    TARGET.write_text(HEADER + "".join(rows) + FOOTER)


if __name__ == "__main__":
    main(*sys.argv[1:])
