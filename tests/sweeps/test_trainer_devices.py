import pytest
from omegaconf import OmegaConf

from sr_lightning.refusal import Refusal
from sr_lightning.sweeps.trainer_devices import Devices, read_devices


@pytest.mark.parametrize(
    ("value", "devices"),
    [
        (1, Devices(1)),
        ("4", Devices(4)),
        ("auto", Devices(None)),
        (-1, Devices(None, all_there_are=True)),
        ("-1", Devices(None, all_there_are=True)),
        ([0], Devices(1, (0,))),
        ([2, 0], Devices(2, (2, 0))),
        ("0,1", Devices(2, (0, 1))),
        ("1,", Devices(1, (1,))),
        (OmegaConf.create([3, 1]), Devices(2, (3, 1))),
    ],
)
def test_what_is_asked_for(value: object, devices: Devices) -> None:
    assert read_devices(value) == devices


@pytest.mark.parametrize("value", [0, "0", -2, [], ",", "two", "0,one", [0, -1], [1, 1], "1,1", True, 1.5, None])
def test_what_makes_no_sense(value: object) -> None:
    with pytest.raises(Refusal, match=r"^trainer\.devices: expected a positive number, .*, got "):
        read_devices(value)
