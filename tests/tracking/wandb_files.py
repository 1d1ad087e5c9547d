"""Offline runs, read back from the file that wandb writes."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record


def records(path: Path) -> Iterator[Record]:
    """Parse a `.wandb` file: a header of 7 bytes, then LevelDB's log format, each entry a protobuf `Record`.

    A log is made of blocks of 32 KiB; a piece has a checksum (4 bytes), a length (2) and a type (1: whole, 2: first,
    3: middle, 4: last). Fewer than 7 bytes at a block's end are padding.
    """
    content, block = path.read_bytes(), 32768
    assert content[:4] == b":W&B"
    position, entry = 7, b""
    while position + 7 <= len(content):
        if block - position % block < 7:
            position += block - position % block
            continue
        _, length, kind = struct.unpack("<IHB", content[position : position + 7])
        if position + 7 + length > len(content):
            # Still being written.
            return
        entry = (b"" if kind in (1, 2) else entry) + content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):
            yield Record.FromString(entry)


class Read:
    """What one offline file holds."""

    def __init__(self, path: Path) -> None:
        self.history: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.metrics: dict[str, str] = {}
        # By their types.
        self.artifacts: dict[str, Any] = {}
        self.exit_code: int | None = None
        for record in records(path):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run = record.run
                self.config = {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "history":
                self.history.append({_key(item): json.loads(item.value_json) for item in record.history.item})
            elif kind == "summary":
                for item in record.summary.update:
                    self.summary[_key(item)] = json.loads(item.value_json)
            elif kind == "metric":
                self.metrics[record.metric.glob_name or record.metric.name] = record.metric.step_metric
            elif kind == "artifact":
                self.artifacts[record.artifact.type] = record.artifact
            elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
                artifact = record.request.log_artifact.artifact
                self.artifacts[artifact.type] = artifact
            elif kind == "exit":
                self.exit_code = record.exit.exit_code


def _key(item: Any) -> str:
    return str(item.key or item.nested_key[0])


def read_finished(path: Path) -> Read:
    """Read a file that wandb's own process may still be writing the end of."""
    until = time.monotonic() + 20
    while (read := Read(path)).exit_code is None and time.monotonic() < until:
        time.sleep(0.05)
    return read


def files(folder: Path) -> list[Path]:
    """Return the offline files of a run folder, the oldest first."""
    return sorted(folder.glob("wandb/offline-run-*/*.wandb"))
