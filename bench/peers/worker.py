"""One engine in a process of its own, which sleeps while the others run.

Child: `python worker.py SPEC` (JSON) loads what the spec names and answers lines of JSON on stdout:
  {"do": "run", "runs": 5}        -> {"seconds": [...]}     one warm-up run first, not counted
  {"do": "answer", "path": "x"}   -> {}                     writes what the engine answers, .npy
  {"do": "memory"}                -> {"bytes": 1}           VmHWM of this process
It ends when stdin closes. Parent: class Worker.
"""
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent


def peak_memory(pid="self"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid):
    """What all threads of a process have used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """The parent's end."""

    def __init__(self, spec):
        self.spec = spec
        environment = dict(os.environ, OMP_NUM_THREADS=str(spec["threads"]))
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py"), json.dumps(spec)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.about = self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.spec['engine']} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self._read()

    def run(self, runs):
        return self.ask(do="run", runs=runs)["seconds"]

    def answer(self, path):
        self.ask(do="answer", path=str(path))

    def memory(self):
        return self.ask(do="memory")["bytes"]

    def cpu_seconds(self):
        return cpu_seconds(self.process.pid)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def serve(spec, replies):
    engine = importlib.import_module(f"engines.{spec['engine']}").load(spec)

    def reply(answer):
        replies.write(json.dumps(answer) + "\n")
        replies.flush()

    engine.run()
    reply({"version": engine.version})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "run":
            engine.run()
            reply({"seconds": [timed(engine.run) for _ in range(request["runs"])]})
        elif request["do"] == "answer":
            import numpy
            numpy.save(request["path"], engine.answer())
            reply({})
        elif request["do"] == "memory":
            reply({"bytes": peak_memory()})


if __name__ == "__main__":
    # Libraries talk on stdout; the protocol keeps the real one to itself.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(json.loads(sys.argv[1]), replies)
