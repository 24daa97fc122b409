"""One module an engine: load(spec) gives an object with version, run() and answer()."""
