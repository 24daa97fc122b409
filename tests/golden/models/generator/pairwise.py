"""Pairwise covering arrays: every two values of two options meet in some case."""

import itertools
import random


def _pairs(row):
    return {
        ((a, row[a]), (b, row[b])) for a, b in itertools.combinations(sorted(row), 2)
    }


def pairwise(factors, allowed, seed, tries=400):
    """Rows (dicts) that cover every pair of values that some allowed row holds.

    factors: {name: [values]}, values hashable. allowed(row) says whether a full row makes sense.
    Greedy: each new row is the best of `tries` random ones seeded by an uncovered pair.
    """
    rng = random.Random(seed)
    names = sorted(factors)

    def random_row(fixed):
        for _ in range(300):
            row = {name: fixed.get(name, rng.choice(factors[name])) for name in names}
            if allowed(row):
                return row
        return None

    missing = set()
    for a, b in itertools.combinations(names, 2):
        for x, y in itertools.product(factors[a], factors[b]):
            if random_row({a: x, b: y}) is not None:
                missing.add(((a, x), (b, y)))

    rows = []
    while missing:
        target = min(missing, key=repr)
        best = max(
            filter(None, (random_row(dict(target)) for _ in range(tries))),
            key=lambda row: len(_pairs(row) & missing),
        )
        missing -= _pairs(best)
        rows.append(best)
    return rows
