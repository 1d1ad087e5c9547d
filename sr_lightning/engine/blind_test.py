"""`compare ab=[A,B]`: shows crops of two runs side by side, without names and in random order, and counts choices."""

import json
import secrets
import threading
from dataclasses import asdict
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import rich

from sr_lightning.comparison.blind_test import (
    CHOICES,
    Answer,
    Question,
    Side,
    as_dict,
    from_dict,
    order,
    preference,
    questions,
    sentence,
)
from sr_lightning.refusal import Refusal
from sr_lightning.report.files import write_json

# An answer is a few words.
LARGEST_REQUEST = 10_000


class BlindTest:
    """The questions, the answers so far, and the file that keeps them.

    Args:
        run_a: folder of a finished run.
        run_b: folder of another.
        output: the file; answers of an earlier session with the same runs are kept.
        seed: of the order of questions and of the sides.

    Raises:
        Refusal: there is nothing to compare, or the file holds another comparison.
    """

    def __init__(self, run_a: Path, run_b: Path, *, output: Path, seed: int) -> None:
        self.runs = {"A": str(run_a.resolve()), "B": str(run_b.resolve())}
        self.output = output
        self.seed = seed
        self.questions = questions(run_a, run_b)
        self.answers = self._earlier()
        # Names that tell nothing: an address is seen by whoever looks at a picture.
        self.pictures = {secrets.token_urlsafe(12): path for question in self.questions for path in _files(question)}
        self._names = {path: name for name, path in self.pictures.items()}
        self._lock = threading.Lock()

    def _earlier(self) -> list[Answer]:
        if not self.output.exists():
            return []
        try:
            kept = json.loads(self.output.read_text())
            runs, answers = kept["runs"], [from_dict(entry) for entry in kept["answers"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refusal(f"blind.output: {self.output} is no file of a blind test; give it another name.") from error
        if runs != self.runs:
            raise Refusal(
                f"blind.output: {self.output} holds answers on {runs['A']} and {runs['B']}; give it another name."
            )
        return answers

    def next(self, observer: str) -> dict[str, Any]:
        """Return what to show somebody now: addresses of the pictures, and how many are done."""
        plan = order(len(self.questions), seed=self.seed, observer=observer)
        done = {answer.question for answer in self.answers if answer.observer == observer}
        open_ones = [(number, left) for number, left in plan if self.questions[number].name not in done]
        told: dict[str, Any] = {"done": len(plan) - len(open_ones), "total": len(plan)}
        if open_ones:
            number, left = open_ones[0]
            question = self.questions[number]
            first, second = (question.a, question.b) if left == "A" else (question.b, question.a)
            told |= {"number": number, "left": self._names[first], "right": self._names[second]}
            told["hr"] = self._names[question.hr]
        return told

    def answer(self, observer: str, *, number: int, choice: str, seconds: float) -> None:
        """Keep a choice, on disk before anything else is shown.

        Raises:
            ValueError: there is no such question or choice, or it was answered before.
        """
        with self._lock:
            left = self._side(observer, number)
            name = self.questions[number].name
            if choice not in CHOICES or any((a.observer, a.question) == (observer, name) for a in self.answers):
                raise ValueError(f"expected one of {', '.join(CHOICES)} for an open question, got {choice}")
            self.answers.append(Answer(name, observer, left, choice, round(seconds, 2)))  # type: ignore[arg-type]
            self.save()

    def _side(self, observer: str, number: int) -> Side:
        for index, left in order(len(self.questions), seed=self.seed, observer=observer):
            if index == number:
                return left
        raise ValueError(f"expected the number of a question, got {number}")

    def save(self) -> None:
        """Write answers and what they say so far."""
        content = {"runs": self.runs, "seed": self.seed, "preference": asdict(preference(self.answers))}
        write_json(self.output, {**content, "answers": [as_dict(answer) for answer in self.answers]})

    def told(self) -> str:
        """Say what the answers tell."""
        return sentence(preference(self.answers), a=self.runs["A"], b=self.runs["B"])


def _files(question: Question) -> tuple[Path, Path, Path]:
    return question.a, question.b, question.hr


def make_server(test: BlindTest, *, port: int) -> ThreadingHTTPServer:
    """Return a server of the test for this machine alone; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self._from_here():
                return
            address = urlsplit(self.path)
            if address.path == "/":
                page = files("sr_lightning.comparison").joinpath("blind_test.html").read_bytes()
                self._send(page, "text/html; charset=utf-8")
            elif address.path == "/next":
                self._send_json(test.next(parse_qs(address.query).get("observer", [""])[0]))
            elif (picture := test.pictures.get(address.path.removeprefix("/picture/"))) is not None:
                self._send(picture.read_bytes(), "image/png")
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def do_POST(self) -> None:
            if not self._from_here():
                return
            try:
                length = int(self.headers.get("Content-Length", 0))
                if self.path != "/answer" or length > LARGEST_REQUEST:
                    raise ValueError("expected an answer")
                got = json.loads(self.rfile.read(length))
                observer = str(got["observer"])[:100]
                test.answer(observer, number=int(got["number"]), choice=got["choice"], seconds=float(got["seconds"]))
            except (ValueError, KeyError, TypeError) as error:
                self.send_error(HTTPStatus.BAD_REQUEST, str(error))
                return
            self._send_json(test.next(observer))

        def _from_here(self) -> bool:
            # A page of somebody else's could otherwise reach this server by a name that leads to this machine.
            name = (self.headers.get("Host") or "").rpartition(":")[0]
            if name in ("127.0.0.1", "localhost"):
                return True
            self.send_error(HTTPStatus.FORBIDDEN)
            return False

        def _send_json(self, content: dict[str, Any]) -> None:
            self._send(json.dumps(content).encode(), "application/json")

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in http.server
            """Leave the terminal to the one line that says where to look."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise Refusal(f"blind.port: {port} is taken on this machine; 0 finds a free one.") from error


def serve(run_a: Path, run_b: Path, *, config: dict[str, Any]) -> None:
    """Serve the test until Ctrl-C, then say what the answers tell.

    Args:
        run_a: folder of a finished run.
        run_b: folder of another.
        config: `blind` of `conf/compare.yaml`: `output`, `port`, `seed`.
    """
    test = BlindTest(run_a, run_b, output=Path(config["output"]).expanduser(), seed=config["seed"])
    console = rich.get_console()
    with make_server(test, port=config["port"]) as server:
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            console.print(f"{len(test.questions)} pairs at {address} (Ctrl-C ends the test)", soft_wrap=True)
            server.serve_forever()
        except KeyboardInterrupt:
            console.print()
    console.print(test.told(), highlight=False, soft_wrap=True)
    if not test.answers:
        return
    # Each answer was kept as it was given; what they tell may be said in newer words.
    test.save()
    console.print(f"answers  {config['output']}", highlight=False, soft_wrap=True)
