"""Takes turns: every engine runs for a moment in each round, and waits while the others do."""
import math
import statistics
import sys
import time

import numpy

SETTLE = 0.05  # seconds for the threads of the last turn to fall asleep
DROP = 1.35    # a peer so many times slower than the fastest one leaves after the first round
IDLE = 0.03    # of a core: what a waiting engine may use before a turn counts as disturbed


def distance(answer, truth):
    """Length of the difference over the length of the centred logits, over all pictures."""
    centred = truth - truth.mean(axis=-1, keepdims=True)
    return float(numpy.linalg.norm(answer - truth) / numpy.linalg.norm(centred))


def cosine(answer, truth):
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (answer, truth))
    return float((a * b).sum() / (numpy.linalg.norm(a) * numpy.linalg.norm(b)))


def check_answers(engines, truth, tolerance, folder):
    """Closes and removes whoever answers something else. Returns what was found by label."""
    found = {}
    for name, engine in list(engines.items()):
        path = folder / "answer.npy"
        engine.answer(path)
        answer = numpy.load(path)
        path.unlink()
        found[name] = {"distance": distance(answer, truth), "cosine": cosine(answer, truth)}
        if not found[name]["distance"] <= tolerance:
            print(f"  {name}: wrong answer, {found[name]['distance']:.3g} off", file=sys.stderr)
            found[name]["wrong"] = True
            engines.pop(name).close()
    return found


def take_turn(engine, others, runs):
    time.sleep(SETTLE)
    before = [other.cpu_seconds() for other in others]
    start = time.perf_counter()
    seconds = engine.run(runs)
    elapsed = time.perf_counter() - start
    used = sum(other.cpu_seconds() - b for other, b in zip(others, before))
    # A tick of the kernel's clock is 10 ms; short turns cannot say less than that.
    return seconds, max(0.0, used - 0.02) / elapsed


def interleave(engines, ours, rounds, seconds_a_turn, log=print):
    """{label: {"rounds": [median seconds of each], "samples": [...], "dropped": bool}}"""
    results = {name: {"rounds": [], "samples": [], "dropped": False} for name in engines}
    active = dict(engines)
    runs = {}
    for name, engine in engines.items():  # how many runs make a turn
        once = statistics.median(engine.run(1))
        runs[name] = min(200, max(1, math.ceil(seconds_a_turn / once)))
    disturbed = 0
    for round_number in range(rounds):
        for name, engine in active.items():
            others = [other for other in engines.values() if other is not engine]
            seconds, load = take_turn(engine, others, runs[name])
            disturbed = max(disturbed, load)
            results[name]["samples"] += seconds
            results[name]["rounds"].append(statistics.median(seconds))
        if round_number == 0:
            peers = {n: results[n]["rounds"][0] for n in active if n != ours}
            for name, value in peers.items():
                if value > DROP * min(peers.values()):
                    results[name]["dropped"] = True
                    active.pop(name)
    if disturbed > IDLE:
        log(f"  a waiting engine used {100 * disturbed:.0f}% of a core")
    return {"engines": results, "disturbance": disturbed}
