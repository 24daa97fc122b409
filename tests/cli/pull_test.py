#!/usr/bin/env python3
"""vitrail pull, data get and --model OWNER/NAME against servers on this machine, and their faults:
one line each, and nothing left behind but a part to continue from.
usage: pull_test.py BINARY SOURCE_DIR"""
import concurrent.futures
import gzip
import io
import os
import pathlib
import shutil
import sys
import tarfile
import time
import unittest

from command import SHARED_DATA, write_png
from hub_case import MODEL, HubTest, nobody
from hub_server import Server, hang

FASHION = SHARED_DATA / "fashion-mnist"
NAME = "someone/tiny"
FOLDER = "models--someone--tiny"


class PullTest(HubTest):
    def pull(self, *arguments, **variables):
        result = self.run_vitrail("pull", *(arguments or (NAME,)), "--json", **variables)
        self.assertEqual(result.status, 0, result.errors)
        return result.json()[0]

    def fails(self, *arguments, status=1, saying="", **variables):
        """Ends with this status and one line of error, and leaves no file that looks whole."""
        result = self.run_vitrail(*arguments, **variables)
        self.assertEqual(result.status, status, (arguments, result.errors))
        errors = [line for line in result.errors if not line.startswith("vitrail: note: ")]
        self.assertEqual(len(errors), 1, result.errors)
        self.assertRegex(errors[0], r"^vitrail: \[[^\]]+\] \S")
        self.assertIn(saying, errors[0])
        self.assertEqual(result.out, "")
        return errors[0]

    def blobs(self):
        folder = self.cache / FOLDER / "blobs"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class Layout(PullTest):
    def test_files_lie_where_the_hubs_own_tools_look(self):
        hub = self.hub()
        hub.files["notes/read me.md"] = b"not needed"
        hub.files["rejection.safetensors"] = b"of a calibrated model"
        pulled = self.pull()
        snapshot = self.cache / FOLDER / "snapshots" / hub.commit
        self.assertEqual(pulled["path"], str(snapshot))
        self.assertEqual(pulled["commit"], hub.commit)
        self.assertEqual((self.cache / FOLDER / "refs" / "main").read_text(), hub.commit)
        names = [file["name"] for file in pulled["files"]]
        self.assertLess({"config.json", "rejection.safetensors"}, set(names))
        self.assertEqual(names[-1], "model.safetensors")
        self.assertNotIn("notes/read me.md", names)
        for file in pulled["files"]:
            path = pathlib.Path(file["path"])
            self.assertTrue(file["downloaded"])
            self.assertTrue(path.is_symlink())
            self.assertEqual(os.readlink(path), f"../../blobs/{hub.etag(file['name'])}")
            self.assertEqual(path.read_bytes(), hub.files[file["name"]])
        self.assertEqual(self.blobs(), sorted(hub.etag(name) for name in names))
        self.assertTrue((self.cache / ".locks" / FOLDER).is_dir())

    def test_a_second_pull_downloads_nothing(self):
        hub = self.hub()
        self.pull()
        del hub.server.log[:]
        self.assertFalse(any(file["downloaded"] for file in self.pull()["files"]))
        self.assertEqual([path for path in hub.server.paths("GET") if "/resolve/" in path], [])

    def test_revisions_and_patterns(self):
        hub = self.hub()
        hub.files["notes/read me.md"] = b"words"
        pulled = self.pull(NAME, "--revision", "refs/pr/1", "--file", "*.md")
        self.assertEqual([file["name"] for file in pulled["files"]], ["notes/read me.md"])
        self.assertEqual(pathlib.Path(pulled["files"][0]["path"]).read_bytes(), b"words")
        self.assertTrue((self.cache / FOLDER / "refs" / "refs" / "pr" / "1").is_file())
        self.assertEqual(os.readlink(pulled["files"][0]["path"]),
                         f"../../../blobs/{hub.etag('notes/read me.md')}")
        pinned = self.pull(f"{NAME}@{hub.commit}", "--file", "config.json")
        self.assertEqual(pinned["revision"], hub.commit)
        self.fails("pull", NAME, "--file", "*.onnx", saying="*.onnx")
        self.fails("pull", f"{NAME}@none", saying="no revision 'none'")
        self.fails("pull", f"{NAME}@../../x", saying="no revision")
        self.fails("pull", "tiny", status=2, saying="OWNER/NAME")
        self.fails("pull", f"{NAME}@v1", "--revision", "v1", status=2, saying="twice")

    def test_shards_and_older_weights(self):
        shards = {"config.json": b"{}", "model-1.safetensors": b"1" * 9,
                  "model-2.safetensors": b"2" * 9, "model-3.safetensors": b"other",
                  "model.safetensors.index.json":
                      b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'}
        hub = self.hub(shards)
        self.assertEqual([file["name"] for file in self.pull()["files"]],
                         ["config.json", "model.safetensors.index.json", "model-1.safetensors",
                          "model-2.safetensors"])
        hub.files["model.safetensors.index.json"] = b'{"weight_map": {"a": "../x.safetensors"}}'
        self.fails("pull", NAME, saying="'../x.safetensors'")
        hub.files = {"config.json": b"{}", "pytorch_model.bin": b"old", "training_args.bin": b"no"}
        self.assertEqual([file["name"] for file in self.pull()["files"]],
                         ["config.json", "pytorch_model.bin"])
        hub.files = {"config.json": b"{}", "pytorch_model-1.bin": b"1", "pytorch_model-2.bin": b"2",
                     "pytorch_model.bin.index.json": b'{"weight_map": {"a": "pytorch_model-2.bin"}}'}
        self.assertEqual([file["name"] for file in self.pull()["files"]],
                         ["config.json", "pytorch_model.bin.index.json", "pytorch_model-2.bin"])
        hub.files = {"config.json": b"{}", "a.safetensors": b"a", "b.safetensors": b"b"}
        self.fails("pull", NAME, saying="a.safetensors, b.safetensors")
        hub.files = {"config.json": b"{}"}
        self.fails("pull", NAME, saying="no weights")

    def test_two_processes_download_once(self):
        hub = self.hub()

        def slow(request, content):
            time.sleep(0.5)
            request.reply_file(content)

        hub.serve["model.safetensors"] = slow
        with concurrent.futures.ThreadPoolExecutor() as pool:
            runs = list(pool.map(lambda _: self.pull(), range(2)))
        self.assertEqual(len(hub.store.paths("GET")), 1)
        self.assertEqual(sorted(run["files"][-1]["downloaded"] for run in runs), [False, True])


class Models(PullTest):
    def setUp(self):
        super().setUp()
        write_png(self.folder / "a.png")

    def classify(self, model, **variables):
        return self.run_vitrail("classify", "--model", model, "a.png", "--json", **variables)

    def answers(self, result):
        """Whatever the model is called."""
        return [{key: value for key, value in line.items() if key != "model"}
                for line in result.json()]

    def test_a_hubs_name_works_as_a_model(self):
        hub = self.hub()
        want = self.answers(self.classify(MODEL))
        first = self.classify(NAME)
        self.assertEqual(first.json()[0]["model"], NAME)
        self.assertEqual(self.answers(first), want)
        self.assertTrue(any("fetching someone/tiny" in line for line in first.errors))
        asked = len(hub.server.log)
        self.assertEqual(self.answers(self.classify(NAME)), want)
        self.assertEqual(self.answers(self.classify(f"{NAME}@{hub.commit}")), want)
        self.assertEqual(len(hub.server.log), asked, "the cache is enough")
        inspected = self.run_vitrail("inspect", "--model", NAME, "--json").json()[0]
        self.assertEqual(inspected["model"], NAME)
        doctor = self.run_vitrail("doctor", "--model", NAME)
        self.assertEqual(doctor.status, 0, doctor.errors)

    def test_offline(self):
        self.hub()
        self.fails("classify", "--model", NAME, "a.png", saying="HF_HUB_OFFLINE", HF_HUB_OFFLINE="1")
        self.fails("pull", NAME, saying="HF_HUB_OFFLINE", HF_HUB_OFFLINE="1")
        self.pull()
        gone = dict(HF_HUB_OFFLINE="1", HF_ENDPOINT=nobody())
        self.assertEqual(self.classify(NAME, **gone).status, 0)
        self.assertEqual(self.pull(**gone)["files"][0]["downloaded"], False)

    def test_what_another_tool_left_incomplete_is_completed(self):
        hub = self.hub()
        hub.files["preprocessor_config.json"] = b"{}"
        self.pull(NAME, "--file", "model.safetensors", "--file", "config.json")
        self.assertEqual(self.classify(NAME).status, 0)
        snapshot = self.cache / FOLDER / "snapshots" / hub.commit
        self.assertTrue((snapshot / "preprocessor_config.json").is_file())

    def test_the_cache_serves_while_the_hub_cannot_be_reached(self):
        """As huggingface_hub falls back: timm caches weights and config.json alone."""
        hub = self.hub()
        want = self.answers(self.classify(MODEL))
        self.pull(NAME, "--file", "model.safetensors", "--file", "config.json")
        hang_up = Server(lambda request: setattr(request, "close_connection", True))
        self.addCleanup(hang_up.close)
        for gone in ("http://127.0.0.1:9", hang_up.address):
            result = self.classify(NAME, HF_ENDPOINT=gone)
            self.assertEqual(result.status, 0, result.errors)
            self.assertEqual(self.answers(result), want)
            self.assertTrue(any("answers from the cache" in line for line in result.errors))
        for status in (500, 503, 429):
            hub.api_status = status
            self.assertEqual(self.answers(self.classify(NAME)), want)
        hub.api_status = 404  # an answer, not a failure: the model may have been withdrawn
        self.fails("classify", "--model", NAME, "a.png", saying="has no someone/tiny")
        hub.api_status = 503
        shutil.rmtree(self.cache)
        self.fails("classify", "--model", NAME, "a.png", saying="a server error (503)")

    def test_files_count_before_hubs(self):
        shutil.copytree(MODEL, self.folder / "someone" / "tiny")
        self.assertEqual(self.classify(NAME).status, 0)
        self.fails("classify", "--model", "someone/tinyy", "a.png", saying="a folder 'someone'")
        self.fails("classify", "--model", "nobody/x.safetensors", "a.png", saying="no such file")
        self.fails("classify", "--model", "nobody/x", "a.png", saying="cannot be reached",
                   HF_ENDPOINT=nobody())


class Rights(PullTest):
    def test_a_token_is_asked_for_and_sent_to_the_hub_alone(self):
        hub = self.hub()
        hub.token = "hf_secret"
        self.fails("pull", NAME, saying="set HF_TOKEN")
        self.fails("pull", NAME, saying="may not read", HF_TOKEN="hf_wrong")
        self.fails("pull", NAME, saying="blanks", HF_TOKEN="hf secret")
        self.pull(HF_TOKEN="hf_secret\n")
        self.assertTrue(hub.store.log)
        for _, _, headers in hub.store.log:
            self.assertNotIn("Authorization", headers)
        (self.folder / "token").write_text("hf_secret\n")
        shutil.rmtree(self.cache)
        self.pull()

    def test_an_unknown_model(self):
        self.hub()
        self.fails("pull", "someone/else", saying="someone/else")
        self.fails("pull", NAME, saying="HF_ENDPOINT", HF_ENDPOINT="ftp://x")
        self.fails("pull", NAME, saying="HF_HUB_ETAG_TIMEOUT", HF_HUB_ETAG_TIMEOUT="soon")


class Faults(PullTest):
    def test_the_hub_is_broken(self):
        hub = self.hub()
        hub.api_status = 503
        self.fails("pull", NAME, saying="a server error (503)")
        hub.api_status = 200
        hub.listing = {"siblings": "none"}
        self.fails("pull", NAME, saying="list of")
        hub.listing = {"sha": "../../../etc"}
        self.fails("pull", NAME, saying="'../../../etc'")
        for name in ("../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "", "a//b", "a\nb"):
            hub.listing = {"siblings": [{"rfilename": name}]}
            self.fails("pull", NAME, saying="leave its folder")
        self.assertEqual(self.blobs(), [])
        self.fails("pull", NAME, saying="cannot be reached", HF_ENDPOINT=nobody())

    def test_what_it_says_of_a_file_does_not_fit(self):
        hub = self.hub()
        weights = "model.safetensors"
        for headers, words in (({"X-Linked-Etag": '"../../evil"'}, "is no name"),
                               ({"X-Linked-Etag": None, "ETag": None}, "no etag"),
                               ({"X-Repo-Commit": "f" * 40}, "answers for commit"),
                               ({"X-Linked-Size": "7"}, "offers 7")):
            hub.head[weights] = headers
            self.fails("pull", NAME, saying=words)
        hub.head[weights] = {"X-Linked-Etag": '"%s"' % ("a" * 64)}
        self.fails("pull", NAME, saying=f"lists the SHA-256 {hub.etag(weights)} and offers aaa")
        hub.head = {"config.json": {"ETag": '"%s"' % ("b" * 40)}}
        self.fails("pull", NAME, saying="git SHA-1")
        hub.listing = {"siblings": [{"rfilename": name} for name in hub.files]}
        hub.head = {weights: {"X-Linked-Etag": '"opaque"', "X-Linked-Size": None}}
        self.fails("pull", NAME, saying="neither a checksum nor a length")
        self.assertFalse((self.folder / "evil").exists())
        self.assertNotIn(hub.etag(weights), self.blobs())
        self.assertFalse((self.cache / FOLDER / "refs" / "main").exists())

    def test_another_content_is_refused_and_removed(self):
        hub = self.hub()
        for name in ("model.safetensors", "config.json"):
            shutil.rmtree(self.cache, ignore_errors=True)
            etag = hub.etag(name)
            hub.serve[name] = lambda request, content: request.reply_file(b"x" * len(content))
            self.fails("pull", NAME, saying="is not what was published")
            self.assertFalse(any(blob.startswith(etag) for blob in self.blobs()))
            hub.serve[name] = lambda request, content: request.reply_file(content + b"more")
            self.fails("pull", NAME, saying="bytes as")
            self.assertFalse(any(blob.startswith(etag) for blob in self.blobs()))

            def endless(request, content):  # without a length
                request.send_response(200)
                request.send_header("Connection", "close")
                request.end_headers()
                for _ in range(1000):
                    request.wfile.write(content)

            hub.serve[name] = endless
            self.fails("pull", NAME, saying="sends more than")
            self.assertFalse(any(blob.startswith(etag) for blob in self.blobs()))
            del hub.serve[name]
        self.pull()

    def test_a_broken_connection_is_resumed(self):
        hub = self.hub()
        size = len(hub.files["model.safetensors"])
        part = size // 3 + 1
        hub.serve["model.safetensors"] = (
            lambda request, content: request.reply_file(content, stop_after=part))
        self.pull()
        ranges = [headers.get("Range") for _, _, headers in hub.store.log]
        self.assertEqual(ranges, [None, f"bytes={part}-", f"bytes={2 * part}-"])

    def test_the_next_process_continues(self):
        hub = self.hub()
        weights = "model.safetensors"
        etag, part = hub.etag(weights), 1000

        def once(request, content):
            if request.headers.get("Range"):
                return request.reply(503)
            request.reply_file(content, stop_after=part)

        hub.serve[weights] = once
        self.fails("pull", NAME, saying=f"{part} bytes are kept")
        self.assertIn(etag + ".incomplete", self.blobs())
        self.assertNotIn(etag, self.blobs())
        self.fails("classify", "--model", NAME, "a.png", saying="not in the cache",
                   HF_HUB_OFFLINE="1")
        del hub.serve[weights], hub.store.log[:]
        self.pull()
        self.assertEqual([headers.get("Range") for _, _, headers in hub.store.log],
                         [f"bytes={part}-"])
        self.assertEqual((self.cache / FOLDER / "blobs" / etag).read_bytes(), hub.files[weights])
        self.assertNotIn(etag + ".incomplete", self.blobs())

    def test_a_damaged_part_is_fetched_anew(self):
        hub = self.hub()
        etag = hub.etag("model.safetensors")
        for rubbish in (b"rubbish", b"r" * 10**7, b"r" * len(hub.files["model.safetensors"])):
            shutil.rmtree(self.cache, ignore_errors=True)
            (self.cache / FOLDER / "blobs").mkdir(parents=True)
            (self.cache / FOLDER / "blobs" / f"{etag}.incomplete").write_bytes(rubbish)
            self.pull()
        hub.serve["model.safetensors"] = (
            lambda request, content: request.reply_file(content, ranges=False))
        shutil.rmtree(self.cache)
        (self.cache / FOLDER / "blobs").mkdir(parents=True)
        (self.cache / FOLDER / "blobs" / f"{etag}.incomplete").write_bytes(
            hub.files["model.safetensors"][:99])
        self.pull()

    def test_a_server_that_breaks_off_and_refuses_to_continue(self):
        hub = self.hub()
        hub.serve["model.safetensors"] = (
            lambda request, content: request.reply(416) if request.headers.get("Range")
            else request.reply_file(content, stop_after=1000))
        self.fails("pull", NAME, saying="refuses to continue")
        self.assertLess(len(hub.store.log), 10)

    def test_a_server_that_sends_a_byte_at_a_time(self):
        hub = self.hub({"config.json": b"{}", "model.safetensors": b"x" * 1000})
        hub.serve["model.safetensors"] = (
            lambda request, content: request.reply_file(content, stop_after=1))
        result = self.run_vitrail("pull", NAME)
        self.assertEqual(result.status, 1)
        self.assertIn("bytes are kept", result.errors[-1])
        self.assertLess(len(hub.store.log), 100)

    def test_a_planted_part_is_not_written_through(self):
        hub = self.hub()
        etag, victim = hub.etag("model.safetensors"), self.folder / "victim"
        part = self.cache / FOLDER / "blobs" / f"{etag}.incomplete"
        for plant in (lambda: part.symlink_to(victim), lambda: os.link(victim, part),
                      lambda: os.mkfifo(part), lambda: part.symlink_to(self.folder / "nowhere")):
            shutil.rmtree(self.cache, ignore_errors=True)
            part.parent.mkdir(parents=True)
            victim.write_bytes(hub.files["model.safetensors"][:50])
            plant()
            self.pull()
            self.assertEqual(victim.read_bytes(), hub.files["model.safetensors"][:50])
            self.assertFalse((self.folder / "nowhere").exists())
            self.assertEqual((part.parent / etag).read_bytes(), hub.files["model.safetensors"])

    def test_a_blob_of_another_content_is_fetched_again(self):
        hub = self.hub()
        self.pull()
        for name in ("model.safetensors", "config.json"):
            blob = self.cache / FOLDER / "blobs" / hub.etag(name)
            blob.write_bytes(b"x" * len(hub.files[name]))
            downloaded = {file["name"]: file["downloaded"] for file in self.pull()["files"]}
            self.assertEqual([key for key, value in downloaded.items() if value], [name])
            self.assertEqual(blob.read_bytes(), hub.files[name])

    def test_a_server_that_hangs(self):
        hub = self.hub()
        hub.serve["model.safetensors"] = hang
        # Neither server ever goes on: a client that has no end of its patience would not return.
        self.fails("pull", NAME, saying="does not answer", HF_HUB_DOWNLOAD_TIMEOUT="1")
        silent = Server(lambda request: time.sleep(3600))
        self.addCleanup(silent.close)
        self.fails("pull", NAME, saying="does not answer", HF_ENDPOINT=silent.address,
                   HF_HUB_ETAG_TIMEOUT="1")

    def test_a_redirect_that_never_ends(self):
        hub = self.hub()
        hub.serve["model.safetensors"] = lambda request, content: request.reply(
            302, b"", {"Location": request.path})
        self.fails("pull", NAME, saying="redirects more than")
        hub.serve["model.safetensors"] = lambda request, content: request.reply(
            302, b"", {"Location": "file:///etc/passwd"})
        self.fails("pull", NAME, saying="neither http nor https")


class Data(PullTest):
    """The publishers' hashes are pinned, so right files come from VITRAIL_SHARED_DATA."""

    def publisher(self, files):
        server = Server(lambda request: request.reply_file(files[request.path.split("/")[-1]])
                        if request.path.split("/")[-1] in files else request.reply(404))
        self.addCleanup(server.close)
        return server

    def get(self, name, server, **variables):
        return self.run_vitrail("data", "get", name, "--from", server.address + "/", "--out", "set",
                                "--json", **variables)

    def left(self):
        folder = self.folder / "set"
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))

    def test_wrong_content_leaves_nothing(self):
        name = "train-images-idx3-ubyte.gz"
        for content, words in ((gzip.compress(b"wrong"), "fewer bytes than"), (b"wrong", "fewer bytes than"),
                               (gzip.compress(bytes(47040016)), "is not what was published"),
                               (gzip.compress(bytes(47040017)), "more bytes than"),
                               (gzip.compress(bytes(1000))[:-9], "truncated or damaged")):
            server = self.publisher({name: content})
            self.fails("data", "get", "fashion-mnist", "--from", server.address, "--out", "set",
                       saying=words)
            self.assertEqual(self.left(), [])
        server = self.publisher({})
        self.fails("data", "get", "fashion-mnist", "--from", server.address, "--out", "set",
                   saying="not found (404)")
        self.assertEqual(self.left(), [])
        self.fails("data", "get", "imagenet", saying="fashion-mnist, cifar10")

    def test_the_publishers_hash_is_pinned_and_a_proxy_is_used(self):
        content = bytes(26421880)  # the length of train-images-idx3-ubyte.gz
        proxy = self.publisher({"train-images-idx3-ubyte.gz": content})
        error = self.fails("data", "get", "fashion-mnist", "--out", "set",
                           saying="is not what was published", http_proxy=proxy.address)
        self.assertIn("3aede38d61863908", error)
        self.assertTrue(proxy.paths("GET")[0].startswith("http://fashion-mnist."))
        self.assertEqual(self.left(), [])
        proxy = self.publisher({"train-images-idx3-ubyte.gz": content[1:]})
        self.fails("data", "get", "fashion-mnist", "--out", "set", saying="which has 26421880",
                   http_proxy=proxy.address)
        self.assertEqual(self.left(), [])

    def test_a_wrong_tar(self):
        def archive(*entries):
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
                for name, size in entries:
                    info = tarfile.TarInfo(name)
                    info.size = size
                    tar.addfile(info, io.BytesIO(bytes(size)))
            return buffer.getvalue()

        inner = "cifar-10-batches-bin/"
        whole = archive((inner + "data_batch_1.bin", 5))
        for content, words in ((archive((inner + "readme.html", 5)), "lacks"),
                               (whole, "fewer bytes than"),
                               (archive((inner + "data_batch_1.bin", 30730000)),
                                "is not what was published"),
                               (archive(("../evil", 5), ("/tmp/evil", 5)), "lacks"),
                               (gzip.compress(b"x" * 10000), "no tar header"),
                               (gzip.compress(gzip.decompress(whole)[:515]), "ends within")):
            server = self.publisher({"cifar-10-binary.tar.gz": content})
            self.fails("data", "get", "cifar10", "--from", server.address, "--out", "set",
                       saying=words)
            self.assertEqual(self.left(), [])
        self.assertFalse((self.folder / "evil").exists())

    @unittest.skipUnless(FASHION.is_dir(),
                         f"no Fashion-MNIST at {FASHION}; VITRAIL_SHARED_DATA names the data")
    def test_fashion_mnist(self):
        shared = FASHION
        server = self.publisher({path.name: path.read_bytes() for path in shared.glob("*.gz")})
        result = self.get("fashion-mnist", server)
        self.assertEqual(result.status, 0, result.errors)
        self.assertEqual(len(result.json()[0]["downloaded"]), 4)
        self.assertEqual(self.left(), ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
                                       "train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
        described = self.run_vitrail("data", "describe", "fashion-mnist:set", "--json").json()[0]
        self.assertEqual([split["split"] for split in described["splits"]], ["train", "test"])
        self.assertEqual(described["splits"][1]["count"], 10000)
        (self.folder / "set" / "t10k-labels-idx1-ubyte").write_bytes(b"damaged")
        again = self.get("fashion-mnist", server).json()[0]
        self.assertEqual(again["downloaded"], ["t10k-labels-idx1-ubyte.gz"])
        self.assertEqual(self.get("fashion-mnist", server).json()[0]["downloaded"], [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
