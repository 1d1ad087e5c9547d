"""The server of a blind test: it shows no names, keeps every answer, and a browser can use it."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_lightning.engine.blind_test import BlindTest, make_server
from sr_lightning.refusal import Refusal
from sr_lightning.report.samples import Facts, write_samples

KEYS = ("lr", "bicubic", "sr", "hr", "whole")


def write_run(folder: Path, value: int) -> Path:
    samples = []
    for index in range(3):
        pictures = {key: np.full((24, 24, 3), 40 * index, np.uint8) for key in KEYS}
        pictures["sr"] = pictures["hr"] + np.uint8(value)
        samples.append((Facts("Set5", f"i{index}", (0, 0, 24, 24), (48, 48), 30.0, 0.9, 28.0, 0.8), pictures))
    write_samples(folder, samples, side=24)
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "secret_a", 10), write_run(tmp_path / "secret_b", 100)


@contextmanager
def served(test: BlindTest) -> Iterator[int]:
    with make_server(test, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def ask(port: int, method: str, path: str, body: Any = None, host: str = "localhost") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, None if body is None else json.dumps(body), {"Host": f"{host}:{port}"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, content


def test_a_whole_test_of_one_observer(runs, tmp_path: Path):
    """The observer always takes the darker picture, which is run A's."""
    output = tmp_path / "answers.json"
    with served(BlindTest(*runs, output=output, seed=3)) as port:
        told = json.loads(ask(port, "GET", "/next?observer=me")[1])
        sides = []
        while "left" in told:
            pictures = {side: ask(port, "GET", f"/picture/{told[side]}")[1] for side in ("left", "right")}
            darker = min(pictures, key=lambda side: mean(pictures[side]))
            sides.append(darker)
            body = {"observer": "me", "number": told["number"], "choice": darker, "seconds": 1.5}
            status, content = ask(port, "POST", "/answer", body)
            assert status == 200
            told = json.loads(content)
        assert told == {"done": 3, "total": 3}
    assert set(sides) == {"left", "right"}
    kept = json.loads(output.read_text())
    assert kept["preference"]["a"] == 3
    assert kept["preference"]["b"] == 0
    assert [answer["preferred"] for answer in kept["answers"]] == ["A"] * 3
    assert kept["answers"][0]["seconds"] == 1.5


def mean(png: bytes) -> float:
    import io

    from PIL import Image

    return float(np.asarray(Image.open(io.BytesIO(png))).mean())


def test_nothing_that_is_sent_tells_a_runs_name(runs, tmp_path: Path):
    with served(BlindTest(*runs, output=tmp_path / "answers.json", seed=0)) as port:
        told = ask(port, "GET", "/next?observer=me")[1]
        picture = ask(port, "GET", f"/picture/{json.loads(told)['left']}")[1]
        page = ask(port, "GET", "/")[1]
    for content in (told, picture, page):
        assert b"secret" not in content


def test_an_interrupted_test_goes_on_where_it_was(runs, tmp_path: Path):
    output = tmp_path / "answers.json"
    first = BlindTest(*runs, output=output, seed=0)
    number = first.next("me")["number"]
    first.answer("me", number=number, choice="same", seconds=1)
    second = BlindTest(*runs, output=output, seed=0)
    assert second.next("me")["done"] == 1
    assert second.next("me")["number"] != number
    assert second.next("you")["done"] == 0


def test_bad_requests(runs, tmp_path: Path):
    test = BlindTest(*runs, output=tmp_path / "answers.json", seed=0)
    with served(test) as port:
        good = {"observer": "me", "number": 0, "choice": "left", "seconds": 1}
        for change in ({"choice": "middle"}, {"number": 7}, {"number": "x"}, {"seconds": None}):
            assert ask(port, "POST", "/answer", good | change)[0] == 400
        assert ask(port, "POST", "/answer", {"choice": "left"})[0] == 400
        assert ask(port, "POST", "/elsewhere", good)[0] == 400
        assert not test.answers
        assert ask(port, "POST", "/answer", good)[0] == 200
        assert ask(port, "POST", "/answer", good)[0] == 400  # answered before
        assert ask(port, "GET", "/picture/../results.json")[0] == 404
        assert ask(port, "GET", "/", host="elsewhere.example")[0] == 403
        assert ask(port, "POST", "/answer", good, host="elsewhere.example")[0] == 403


def test_a_file_of_another_test_is_not_overwritten(runs, tmp_path: Path):
    output = tmp_path / "answers.json"
    BlindTest(*runs, output=output, seed=0).save()
    with pytest.raises(Refusal, match="holds answers on"):
        BlindTest(runs[1], runs[0], output=output, seed=0)
    output.write_text("{}")
    with pytest.raises(Refusal, match="no file of a blind test"):
        BlindTest(*runs, output=output, seed=0)


def test_a_taken_port(runs, tmp_path: Path):
    test = BlindTest(*runs, output=tmp_path / "answers.json", seed=0)
    with served(test) as port, pytest.raises(Refusal, match=f"blind.port: {port} is taken"):
        make_server(test, port=port)


def test_ctrl_c_ends_it_with_what_the_answers_tell(runs, tmp_path: Path):
    output = tmp_path / "answers.json"
    # Where the tests run in the background of a script, the signal is ignored by all that they start.
    program = (
        "import signal, sys; from pathlib import Path; from sr_lightning.engine.blind_test import serve; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "serve(Path(sys.argv[1]), Path(sys.argv[2]), config={'output': sys.argv[3], 'port': 0, 'seed': 0})"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", program, *map(str, runs), str(output)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert re.fullmatch(r"3 pairs at http://127\.0\.0\.1:\d+/ \(Ctrl-C ends the test\)\n", process.stdout.readline())
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert told.splitlines()[-1] == "No answers yet: nothing was recorded."
    assert not output.exists()


def test_a_browser_by_keys_and_clicks(runs, tmp_path: Path, browser: Any):
    test = BlindTest(*runs, output=tmp_path / "answers.json", seed=0)
    with served(test) as port, browser.new_page() as page:
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.fill("#observer", "me & you")
        page.click("text=Begin")
        page.wait_for_selector("#question", state="visible")
        assert page.evaluate("document.getElementById('left').naturalWidth") == 24
        page.keyboard.press("ArrowLeft")
        page.wait_for_selector("#question:has(#progress[value='1'])", state="visible")
        page.keyboard.press("ArrowDown")
        page.wait_for_selector("#question:has(#progress[value='2'])", state="visible")
        page.click("[data-choice=right]")
        page.wait_for_selector("text=all 3 pairs are done")
    assert not errors
    assert [answer.choice for answer in test.answers] == ["left", "same", "right"]
    assert {answer.observer for answer in test.answers} == {"me & you"}
