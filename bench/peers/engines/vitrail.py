"""Vitrail, through `vitrail bench`: a short process a turn. The parent's end only."""
import json
import subprocess


def command_json(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return json.loads(done.stdout)


class Vitrail:
    """What worker.Worker offers. `arguments` follow `vitrail bench`."""

    def __init__(self, program, arguments):
        self.command = [program, "bench", *arguments, "--json"]
        self.about = {"version": ""}
        self.turns = []  # what each turn printed

    def run(self, runs):
        self.turns.append(command_json([*self.command, "--runs", runs]))
        return [self.turns[-1]["milliseconds"] / 1e3]

    def answer(self, path):
        command_json([*self.command, "--runs", 1, "--output", path])

    def first_step(self):
        """Of --train: what the step before the measured ones gave, and its labels."""
        return command_json([*self.command, "--runs", 1])

    def memory(self):
        return max(turn["peak_memory_bytes"] for turn in self.turns)

    def cpu_seconds(self):
        return 0  # no process is left between turns

    def close(self):
        pass
