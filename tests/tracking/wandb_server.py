"""A W&B server for tests: accepts online runs and `wandb sync` on the loopback, and remembers what it was sent.

    with WandbServer() as server:
        os.environ.update(server.environment)      # WANDB_BASE_URL, WANDB_API_KEY
        ...                                         # train, or `wandb sync FOLDER`
        (run,) = server.runs.values()
        run.config["scale"], run.summary, run.history, run.files["media/..."], run.artifacts, run.exit_code

It stores what the real one stores: history lines by their offset in the file stream (a second line at the same offset
replaces the first: `overwritten` counts those), the last summary, files and artifacts by name. Another GraphQL
operation is answered after `server.respond("OperationName", answer)`, where `answer` is the content of `data` or a
function of the variables that returns it; `server.variables("OperationName")` lists what each call had asked. Whatever
has no answer gets a GraphQL error and stands in `server.unanswered`.

`server.stop_answering()` keeps connections open and says nothing more, as a dead network does. Nothing is ever sent
anywhere else.
"""

import gzip
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

# What the client takes for a key of an account.
API_KEY = "0" * 40
ENTITY = "tester"

Data = dict[str, Any]
Answer = Data | Callable[[Data], Data]


@dataclass
class StoredArtifact:
    """An artifact: its manifest's entries (files by name), type, aliases and metadata."""

    name: str
    type: str
    aliases: list[str]
    metadata: Data
    run: str
    committed: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    manifest: Data = field(default_factory=dict)


@dataclass
class StoredRun:
    """What the server knows of a run."""

    id: str
    entity: str
    project: str
    display_name: str = ""
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Data = field(default_factory=dict)
    # As sent: {key: {"value": ...}}, with `_wandb` holding what define_metric said.
    raw_config: Data = field(default_factory=dict)
    summary: Data = field(default_factory=dict)
    lines: dict[int, Data] = field(default_factory=dict)
    overwritten: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    artifacts: list[StoredArtifact] = field(default_factory=list)
    exit_code: int | None = None
    # How often a client began to write this run: once, and once for each time it was gone on with.
    upserts: int = 0

    @property
    def history(self) -> list[Data]:
        """The rows, in the order of the file stream."""
        return [self.lines[offset] for offset in sorted(self.lines)]

    @property
    def tables(self) -> dict[str, Data]:
        """Logged tables by their key, the latest of each: `columns` and `data`, pictures as paths in the artifact."""
        end = ".table.json"
        return {
            name.removesuffix(end): json.loads(content)
            for artifact in self.artifacts
            if artifact.type == "run_table"
            for name, content in artifact.files.items()
            if name.endswith(end)
        }

    @property
    def metrics(self) -> list[Data]:
        """What define_metric said, one entry a metric or glob, by the numbers of wandb's MetricRecord."""
        entries: list[Data] = self.raw_config.get("_wandb", {}).get("value", {}).get("m", [])
        return entries


class WandbServer:
    """The server: runs between `with` and its end, on a port of its own."""

    def __init__(self) -> None:
        self.runs: dict[str, StoredRun] = {}
        self.artifacts: list[StoredArtifact] = []
        self.requests: list[tuple[str, Data]] = []
        self.unanswered: list[str] = []
        self._lock = threading.Lock()
        self._silent, self._closing = threading.Event(), threading.Event()
        self._answers: dict[str, Answer] = {
            name: getattr(self, f"_{_snake(name)}")
            for name in (
                "UpsertBucket", "RunResumeStatus", "CreateRunFiles", "CreateArtifact", "CreateArtifactManifest",
                "CreateArtifactFiles", "UpdateArtifactManifest", "CommitArtifact",
            )
        }  # fmt: skip
        viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "name": ENTITY, "email": "", "flags": "{}"}
        teams: Data = {"edges": [{"node": {"id": "1", "name": ENTITY}}]}
        self._answers |= {
            "Viewer": {"viewer": {**viewer, "teams": teams}},
            "ServerFeaturesQuery": {"serverInfo": {"features": []}},
            "MarkRunFilesUploaded": {"markRunFilesUploaded": {"success": True}},
            "OrganizationCoreWeaveOrganizationID": {"entity": {"organization": None}},
            "ArtifactType": {"project": {"artifact": None}},
        }
        self._http = _Http(("127.0.0.1", 0), _handler(self))

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes wandb talk to this server and to no other."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": API_KEY, "WANDB_ERROR_REPORTING": "false"}

    def respond(self, operation: str, answer: Answer) -> None:
        """Answer a GraphQL operation with the content of `data`, or with what a function makes of its variables."""
        self._answers[operation] = answer

    def variables(self, operation: str) -> list[Data]:
        """Return the variables of each call of an operation so far."""
        return [variables for name, variables in self.requests if name == operation]

    def stop_answering(self) -> None:
        """From now on take requests and say nothing."""
        self._silent.set()

    def answer_again(self) -> None:
        """End `stop_answering`, for new requests."""
        self._silent.clear()

    # What the handler calls.

    def wait_while_silent(self) -> bool:
        """Return whether a request is to be left without an answer; it comes back when the server is closed."""
        if self._silent.is_set():
            self._closing.wait()
            return True
        return False

    def graphql(self, query: str, variables: Data) -> Data:
        found = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = found.group(1) if found else query.strip()
        with self._lock:
            self.requests.append((name, variables))
            if name not in self._answers:
                self.unanswered.append(name)
                return {"errors": [{"message": f"{name} is unknown here"}], "data": None}
            answer = self._answers[name]
            return {"data": answer(variables) if callable(answer) else answer}

    def file_stream(self, run: str, body: Data) -> Data:
        """Take a piece of the file stream: history lines at an offset, the summary, the end."""
        with self._lock:
            stored = self.runs[run]
            for name, piece in body.get("files", {}).items():
                if name == "wandb-history.jsonl":
                    for offset, line in enumerate(piece["content"], start=piece["offset"]):
                        stored.overwritten += offset in stored.lines
                        stored.lines[offset] = json.loads(line)
                elif name == "wandb-summary.json":
                    stored.summary = json.loads(piece["content"][-1])
            if body.get("complete"):
                stored.exit_code = body.get("exitcode")
        return {"exitcode": None, "limits": {}}

    def upload(self, path: str, content: bytes) -> None:
        """Take a file: /upload/run/ID/NAME, /upload/artifact/NUMBER/NAME or /upload/manifest/NUMBER."""
        _, kind, owner, *name = path.lstrip("/").split("/", 3)
        with self._lock:
            if kind == "run":
                self.runs[owner].files[name[0]] = content
            elif kind == "artifact":
                self.artifacts[int(owner)].files[name[0]] = content
            else:
                self.artifacts[int(owner)].manifest = json.loads(content)

    # Answers. A run's id for GraphQL is its name, an artifact's its number.

    def _upsert_bucket(self, variables: Data) -> Data:
        name = variables.get("name") or variables["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(
            name, StoredRun(id=name, entity=variables.get("entity") or ENTITY, project=variables["project"])
        )
        run.upserts += "displayName" in variables and variables["displayName"] is not None
        run.display_name = variables.get("displayName") or run.display_name
        run.group = variables.get("groupName") or run.group
        run.job_type = variables.get("jobType") or run.job_type
        run.tags = variables.get("tags") or run.tags
        if variables.get("config"):
            run.raw_config = json.loads(variables["config"])
            run.config = {key: entry["value"] for key, entry in run.raw_config.items() if key != "_wandb"}
        if variables.get("summaryMetrics"):
            run.summary = json.loads(variables["summaryMetrics"])
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": inserted}}

    def _bucket(self, run: StoredRun) -> Data:
        entity = {"id": "1", "name": run.entity}
        return {
            "id": run.id, "name": run.id, "displayName": run.display_name, "description": None, "sweepName": None,
            "config": json.dumps(run.raw_config), "project": {"id": "1", "name": run.project, "entity": entity},
            "historyLineCount": len(run.lines),
        }  # fmt: skip

    def _run_resume_status(self, variables: Data) -> Data:
        run = self.runs.get(variables["name"])
        project = {"id": "1", "name": variables["project"], "entity": {"id": "1", "name": ENTITY}}
        if run is None:
            return {"model": {**project, "bucket": None}}
        tail = json.dumps([json.dumps(line) for line in run.history[-1:]])
        bucket = {
            **self._bucket(run), "summaryMetrics": json.dumps(run.summary), "logLineCount": 0, "eventsLineCount": 0,
            "historyTail": tail, "eventsTail": "[]", "tags": run.tags, "notes": None, "wandbConfig": '{"t": 1}',
        }  # fmt: skip
        return {"model": {**project, "bucket": bucket}}

    def _create_run_files(self, variables: Data) -> Data:
        files = [
            {"name": name, "uploadUrl": f"{self.url}/upload/run/{variables['run']}/{name}"}
            for name in variables["files"]
        ]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def _create_artifact(self, variables: Data) -> Data:
        given = variables["input"]
        artifact = StoredArtifact(
            name=given["artifactCollectionName"],
            type=given["artifactTypeName"],
            aliases=[entry["alias"] for entry in given.get("aliases") or []],
            metadata=json.loads(given.get("metadata") or "{}"),
            run=given["runName"],
        )
        self.artifacts.append(artifact)
        self.runs[artifact.run].artifacts.append(artifact)
        number = str(len(self.artifacts) - 1)
        content = {"id": number, "state": "PENDING", "artifactSequence": {"id": number, "latestArtifact": None}}
        return {"createArtifact": {"artifact": content}}

    def _create_artifact_manifest(self, variables: Data) -> Data:
        return {"createArtifactManifest": {"artifactManifest": self._manifest(variables["artifactID"])}}

    def _update_artifact_manifest(self, variables: Data) -> Data:
        return {"updateArtifactManifest": {"artifactManifest": self._manifest(variables["artifactManifestID"])}}

    def _manifest(self, number: str) -> Data:
        file = {"id": number, "uploadUrl": f"{self.url}/upload/manifest/{number}", "uploadHeaders": []}
        return {"id": number, "file": file}

    def _create_artifact_files(self, variables: Data) -> Data:
        nodes = [
            {
                "storagePath": f"{entry['artifactID']}/{entry['name']}",
                "uploadUrl": f"{self.url}/upload/artifact/{entry['artifactID']}/{entry['name']}",
                "uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": entry["artifactID"]},
            }
            for entry in variables["input"]["artifactFiles"]
        ]  # fmt: skip
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _commit_artifact(self, variables: Data) -> Data:
        self.artifacts[int(variables["artifactID"])].committed = True
        return {"commitArtifact": {"artifact": {"id": variables["artifactID"], "digest": ""}}}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up; what else goes wrong is told as ever."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # Connections stay open, as with the real server.
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self._body() or b"{}")
            if server.wait_while_silent():
                return
            if self.path == "/graphql":
                self._answer(server.graphql(body["query"], body.get("variables") or {}))
            else:
                # /files/ENTITY/PROJECT/RUN/file_stream
                self._answer(server.file_stream(self.path.split("/")[4], body))

        def do_PUT(self) -> None:
            body = self._body()
            if server.wait_while_silent():
                return
            server.upload(self.path, body)
            self._answer({})

        def _body(self) -> bytes:
            content = b"".join(self._chunks())
            return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

        def _chunks(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding") != "chunked":
                yield self.rfile.read(int(self.headers.get("Content-Length") or 0))
                return
            while size := int(self.rfile.readline(), 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _answer(self, content: Data) -> None:
            data = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    return Handler
