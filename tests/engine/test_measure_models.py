"""What is measured of the networks, and that the page in the docs is that of the yamls."""

import pytest
import torch

from sr_lightning.cli.models import networks
from sr_lightning.engine.measure_models import look, measure_model, print_models, write_page
from sr_lightning.networks.receptive_field import LENGTH
from sr_lightning.report.models_table import HEADINGS, Model, models_page, page_line
from tests.test_contracts import MODELS

# Small, one of a library, one for several scales, one that is global.
SOME = ["espcn", "imdn", "span", "carn_m"]
KEPT = [heading for heading in HEADINGS if heading != "ms"]


@pytest.fixture(scope="module")
def page(repository) -> dict[str, str]:
    """The lines of `docs/models.md`, by model."""
    lines = (repository / "docs" / "models.md").read_text().splitlines()
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


@pytest.fixture(scope="module")
def nodes():
    return networks([])


def test_the_page_has_every_network(page, nodes):
    assert list(page) == list(nodes) == MODELS


@pytest.mark.parametrize("name", SOME)
def test_a_line_of_the_page_is_that_of_the_yaml(page, nodes, name):
    assert page[name] == page_line(measure_model(name, nodes[name], times=False)), "make models MODELS=format=md"


@pytest.mark.parametrize("name", MODELS)
def test_facts_on_the_page_are_those_of_the_yaml(page, nodes, name):
    """Of every network, without measuring it."""
    nothing = (0,) * len(nodes[name]["spec"]["scales"])
    unmeasured = Model(name, nodes[name]["spec"], nothing, nothing, nothing, challenge=None, sees=None)
    ours, theirs = (dict(zip(KEPT, line.split("|")[1:-1], strict=True)) for line in (page_line(unmeasured), page[name]))
    for heading in ("scale", "Set5", "protocol", "paper"):
        assert theirs[heading] == ours[heading], "make models MODELS=format=md"


@pytest.mark.slow
def test_the_page_is_that_of_the_yamls(repository, nodes):
    models = [measure_model(name, node, times=False) for name, node in nodes.items()]
    text = (repository / "docs" / "models.md").read_text()
    assert text == models_page(models, length=LENGTH), "make models MODELS=format=md writes it anew"


def test_measured_at_the_scales_of_the_paper(nodes):
    model = measure_model("rlfn", nodes["rlfn"], times=True)
    assert model.parameters == model.in_use == (526_856, 543_740)
    assert model.multiply_adds[1] == pytest.approx(29.82e9, rel=1e-3)
    assert model.challenge is not None
    assert model.sees is not None
    assert model.milliseconds > 0
    assert torch.get_num_threads() == 1


def test_what_a_network_sees_does_not_depend_on_its_width(nodes):
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    node = {**nodes["edsr_baseline"], "scale": 4}

    assert look(node) == look({**node, "width": 20}) == 73

    assert torch.equal(torch.random.get_rng_state(), before)


def test_no_challenge_without_its_scale(nodes):
    spec = {**nodes["espcn"]["spec"], "scales": [2, 3]}
    model = measure_model("espcn", {**nodes["espcn"], "spec": spec}, times=False)
    assert model.challenge is None
    assert len(model.parameters) == 2


def test_printed_and_written(nodes, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    few = {name: nodes[name] for name in ("bicubic", "espcn")}

    print_models(few, times=True)
    write_page(few, tmp_path / "page.md")

    out = capsys.readouterr().out
    assert "bicubic" in out
    assert "1.42" in out
    assert "in 1 thread" in out
    assert out.endswith(f"written    {tmp_path / 'page.md'}\n")
    assert "| `espcn` | x2 / x3 / x4" in (tmp_path / "page.md").read_text()
