"""What the tests against a hub on this machine share."""
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

from command import BINARY, MODEL, Result, model_files
from hub_server import Hub

# Seconds that are never waited for: a server on a busy machine may be slow, and is not at fault.
PATIENT = "300"


def nobody():
    """An address where no program listens: the port is taken, so that none will."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    nobody.ports.append(taken)
    return f"http://127.0.0.1:{taken.getsockname()[1]}"


nobody.ports = []


def clean_environment(home):
    """Without a word about hubs and proxies from outside; `home` keeps the cache."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))
                   and not key.lower().endswith("_proxy")}
    environment.update(HF_HOME=str(home), HF_HUB_DOWNLOAD_TIMEOUT=PATIENT,
                       HF_HUB_ETAG_TIMEOUT=PATIENT)
    return environment


class HubTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.cache = self.folder / "hub"
        self.environment = clean_environment(self.folder)

    def hub(self, *arguments, **options):
        hub = Hub(*arguments or (model_files(),), **options)
        self.addCleanup(hub.close)
        self.environment["HF_ENDPOINT"] = hub.address
        return hub

    def run_vitrail(self, *arguments, **variables):
        command = [os.path.abspath(BINARY), *map(str, arguments)]
        return Result(subprocess.run(command, capture_output=True, text=True, errors="replace",
                                     cwd=self.folder, timeout=800, stdin=subprocess.DEVNULL,
                                     env=dict(self.environment, **variables)))
