import pytest

from sr_lightning.report.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min"), (3590, "1 h 0 min"), (172_000, "47 h 47 min"), (180_000, "2 d 2 h")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
