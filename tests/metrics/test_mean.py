from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from sr_lightning.metrics.mean import ScoreMean
from sr_lightning.metrics.protocol import Score


def test_the_mean_of_the_images_and_how_many() -> None:
    mean = ScoreMean()
    for score in (Score(30.0, 0.8), Score(31.0, 0.9), Score(20.0, 0.4)):
        mean.update(score)
    assert mean.compute() == {
        "psnr": pytest.approx(27.0),
        "ssim": pytest.approx(0.7),
        "images": 3,
    }


def test_sums_are_exact_over_many_images() -> None:
    mean = ScoreMean()
    for _ in range(1000):
        mean.update(Score(30.1, 0.1))
    assert mean.compute()["psnr"] == pytest.approx(30.1, abs=1e-10)


def test_reset_forgets() -> None:
    mean = ScoreMean()
    mean.update(Score(10.0, 0.1))
    mean.reset()
    mean.update(Score(30.0, 0.9))
    assert mean.compute() == {"psnr": 30.0, "ssim": 0.9, "images": 1}


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="no image was scored"):
        ScoreMean().compute()


def test_partial_means_merge_by_sums() -> None:
    """What ranks do, without the ranks: the test below is slow only because processes import torch slowly."""
    first, second = ScoreMean(), ScoreMean()
    for psnr in (10.0, 20.0, 30.0):
        first.update(Score(psnr, psnr / 100))
    second.update(Score(50.0, 0.5))
    first.merge_state(second)
    assert first.compute() == {"psnr": pytest.approx(27.5), "ssim": pytest.approx(0.275), "images": 4}


def score_on_a_rank(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=3)
    mean = ScoreMean()
    for psnr in ([10.0, 20.0, 30.0], [50.0], [])[rank]:
        mean.update(Score(psnr, psnr / 100))
    torch.save(mean.compute(), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_ranks_with_unequal_numbers_of_images_agree_on_the_mean(tmp_path: Path) -> None:
    mp.start_processes(score_on_a_rank, (str(tmp_path),), nprocs=3, start_method="spawn")
    for rank in range(3):
        result = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert result == {"psnr": pytest.approx(27.5), "ssim": pytest.approx(0.275), "images": 4}
