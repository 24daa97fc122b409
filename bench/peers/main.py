"""Measures the chosen rows, keeps the raw results, writes the report. Runs in the peers' venv."""
import importlib
import json
import subprocess
import sys
import time

import machine
import options as arguments
import report
import rows


class Options:
    """The arguments, and what the rows ask of them."""

    def __init__(self, parsed):
        self.__dict__.update(vars(parsed))
        self.rounds, self.seconds = (2, 0.3) if parsed.quick else (5, 0.6)
        self.program = parsed.build / "vitrail"
        self.real = dict(entry.split("=", 1) for entry in parsed.checkpoint)

    def model_folder(self, architecture, size):
        """Where the model is, with every engine's form of it."""
        folder = self.work / "models" / architecture
        if not (folder / f"complete-{size}").exists():
            command = [sys.executable, "-B", arguments.ROOT / "bench/peers/prepare.py", folder,
                       architecture, size]
            if architecture in self.real:
                command.append(self.real[architecture])
            subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)
        return folder

    def trainable_folder(self, architecture, size):
        """The checkpoint alone: a training step needs no other form."""
        folder = self.work / "models" / architecture
        if not (folder / "model.safetensors").exists():
            subprocess.run([sys.executable, "-B", str(arguments.ROOT / "bench/peers/prepare.py"),
                            str(folder), architecture, str(size), "--checkpoint-only"], check=True)
        return folder


def load_results(path):
    return json.loads(path.read_text()) if path.exists() else {"rows": {}}


def save_results(path, results):
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(results, indent=1))
    temporary.replace(path)


def main():
    options = Options(arguments.parse())
    options.work.mkdir(parents=True, exist_ok=True)
    path = options.work / "results.json"
    results = load_results(path)
    failures = []
    for row in [] if options.report else rows.select(options.only):
        if row.kind == "pictures" and not options.pictures:
            continue
        print(f"{row.name}: {row.title}", file=sys.stderr)
        try:
            measured = importlib.import_module(row.kind).run(row, options)
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            failures.append(row.name)
            print(f"  {error}", file=sys.stderr)
            continue
        measured.update(date=time.strftime("%Y-%m-%d"), threads=options.threads,
                        rounds_asked=options.rounds)
        results["rows"][row.name] = measured
        results["machine"] = machine.describe()
        save_results(path, results)
        for line in report.row_lines(row, measured):
            print(f"  {line}", file=sys.stderr)
    report.write(options.out, results)
    if failures:
        sys.exit(f"run: not measured: {', '.join(failures)}")


if __name__ == "__main__":
    main()
