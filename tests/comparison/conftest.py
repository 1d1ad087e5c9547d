"""Pages in a real browser: Chromium, driven by Playwright, without a network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sr_lightning.comparison.page import render
from sr_lightning.comparison.payload import Payload, payload
from sr_lightning.comparison.runs import Run, read_run, read_runs


@pytest.fixture
def runs_of(synthetic_runs: Any, tmp_path: Path) -> Callable[..., list[Run]]:
    """`runs_of({...}, {...})`: runs with these facts, in folders 00, 01, ..., as they are read."""
    random = np.random.default_rng(0)

    def make(*facts: dict[str, Any]) -> list[Run]:
        folders = [tmp_path / f"{number:02d}" for number in range(len(facts))]
        return [
            read_run(synthetic_runs.write_run(folder, random=random, **fact))
            for folder, fact in zip(folders, facts, strict=True)
        ]

    return make


@pytest.fixture(scope="session")
def some_runs(tmp_path_factory: pytest.TempPathFactory, synthetic_runs: Any) -> Payload:
    """Two boards. On x4: three seeds of EDSR, two of SRCNN, SRResNet, a GAN, one that failed; on x2 one run."""
    folder = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(0)
    facts: list[dict[str, Any]] = [
        *({"model": "edsr", "seed": seed} for seed in (1, 2, 3)),
        *({"model": "srcnn", "seed": seed, "loss": "mse"} for seed in (1, 2)),
        {"model": "srresnet"},
        {"model": "srgan", "gan": True},
        {"model": "espcn", "status": "failed"},
    ]
    for number, each in enumerate(facts):
        synthetic_runs.write_run(folder / f"{number}", random=random, crops=True, **each)
    synthetic_runs.write_run(folder / "x2", random=random, scale=2)
    return payload(read_runs([folder]).runs, title="Some runs", budget_bytes=10_000_000, notes=["A note."])


@pytest.fixture(scope="session")
def opened(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Open a payload's page: `with opened(payload, address="#crop=2", width=390) as page`.

    `before` is called with the page before it loads. When it is closed, nothing must have been asked of a network
    and no error told.
    """
    files: dict[int, Path] = {}

    @contextmanager
    def open_page(
        content: Payload, *, address: str = "", width: int = 1440, before: Any = None, **options: Any
    ) -> Iterator[Any]:
        if id(content) not in files:
            files[id(content)] = tmp_path_factory.mktemp("page") / "page.html"
            files[id(content)].write_text(render(content), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, reduced_motion="reduce", **options)
        page = context.new_page()
        told: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        if before is not None:
            before(page)
        page.goto(files[id(content)].as_uri() + address)
        page.wait_for_selector("html[data-ready]", state="attached")
        yield page
        assert told == []
        assert asked
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
        context.close()

    return open_page


@pytest.fixture
def page(opened: Callable[..., Any], some_runs: Payload) -> Iterator[Any]:
    """The page of `some_runs` on the board x4."""
    with opened(some_runs) as opened_page:
        yield opened_page
