"""A hub and a publisher on this machine, as little of them as Vitrail asks for, and their faults."""
import hashlib
import http.server
import json
import threading
import time
import urllib.parse


def git_sha1(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """handler(request) answers; every request is kept in `log` as (method, path, headers)."""
    daemon_threads = True

    def __init__(self, answer):
        self.log = []
        self.answer = answer
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def paths(self, method):
        return [path for verb, path, _ in self.log if verb == method]

    def close(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # a client that gave up is what some tests want


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.server.log.append((self.command, self.path, dict(self.headers)))
        self.server.answer(self)

    do_HEAD = do_GET

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in dict({"Content-Length": str(len(body))}, **dict(headers)).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def reply_file(self, content, headers=(), stop_after=None, ranges=True):
        """A file, or the part asked for; the connection breaks `stop_after` bytes into it."""
        asked = self.headers.get("Range")
        begin = int(asked.split("=")[1].rstrip("-")) if asked and ranges else 0
        if begin and begin >= len(content):
            return self.reply(416)
        headers = dict(headers)
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        body = content[begin:]
        if stop_after is None or stop_after >= len(body):
            return self.reply(206 if begin else 200, body, headers)
        headers["Content-Length"] = str(len(body))
        self.reply(206 if begin else 200, body[:stop_after], headers)
        self.close_connection = True


class Hub:
    """One model repository, and a host of its own for the large files."""

    def __init__(self, files, large=("model.safetensors",), name="someone/tiny"):
        self.files = dict(files)   # name: content
        self.large = set(large)    # kept on the other host, named by sha256
        self.name = name
        self.commit = "0123456789abcdef0123456789abcdef01234567"
        self.token = None          # who may read; None: everybody
        self.listing = {}          # replaces fields of the listing
        self.head = {}             # file: headers that replace the right ones
        self.serve = {}            # file: function(request, content) that answers instead
        self.api_status = 200
        self.store = Server(self.answer_store)
        self.server = Server(self.answer)

    def close(self):
        self.store.close()
        self.server.close()

    @property
    def address(self):
        return self.server.address

    def etag(self, name):
        content = self.files[name]
        return hashlib.sha256(content).hexdigest() if name in self.large else git_sha1(content)

    def siblings(self):
        entries = []
        for name, content in self.files.items():
            entry = {"rfilename": name, "size": len(content), "blobId": git_sha1(content)}
            if name in self.large:
                entry["lfs"] = {"sha256": self.etag(name), "size": len(content),
                                "pointerSize": 134}
            entries.append(entry)
        return entries

    def answer(self, request):
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return request.reply(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        path = urllib.parse.urlsplit(request.path).path
        prefix = f"/api/models/{self.name}/revision/"
        if path.startswith(prefix):
            revision = urllib.parse.unquote(path[len(prefix):])
            if self.api_status != 200:
                return request.reply(self.api_status, b"broken")
            if revision not in ("main", "v1", "refs/pr/1", self.commit):
                return request.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            listing = dict({"id": self.name, "sha": self.commit, "private": False, "tags": [],
                            "downloads": 0, "likes": 0, "siblings": self.siblings()},
                           **self.listing)
            return request.reply(200, json.dumps(listing).encode())
        prefix = f"/{self.name}/resolve/{self.commit}/"
        name = urllib.parse.unquote(path[len(prefix):]) if path.startswith(prefix) else None
        if name not in self.files:
            return request.reply(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        content = self.files[name]
        headers = {"X-Repo-Commit": self.commit, "ETag": f'"{self.etag(name)}"'}
        if name in self.large:
            headers.update({"X-Linked-Etag": f'"{self.etag(name)}"', "ETag": '"else"',
                            "X-Linked-Size": str(len(content)),
                            "Location": f"{self.store.address}/{self.etag(name)}"})
        headers.update(self.head.get(name, {}))
        headers = {key: value for key, value in headers.items() if value is not None}
        if name in self.large:
            return request.reply(302, b"", headers)
        if request.command == "GET" and name in self.serve:
            return self.serve[name](request, content)
        return request.reply_file(content, headers)

    def answer_store(self, request):
        for name in self.large:
            if request.path == f"/{self.etag(name)}":
                content = self.files[name]
                return self.serve.get(name, lambda r, c: r.reply_file(c))(request, content)
        request.reply(404)


def hang(request, content):
    """Promises the file and sends a part of it, then nothing."""
    request.send_response(200)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content[:10])
    request.wfile.flush()
    time.sleep(3600)
