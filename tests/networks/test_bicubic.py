import torch

from sr_lightning.networks.bicubic import Bicubic


def test_matlabs_own_pixels():
    # protocol.md: MATLAB's x2 of a 3x3 image of 0..255.
    lr = torch.tensor([[105.0, 124, 118], [131, 150, 98], [102, 110, 119]])[None, None] / 255
    expected = [
        [101, 107, 118, 123, 121, 120],
        [109, 115, 127, 128, 117, 111],
        [126, 133, 147, 140, 111, 97],
        [125, 131, 144, 136, 110, 97],
        [108, 111, 117, 119, 115, 114],
        [98, 100, 104, 110, 118, 122],
    ]

    sr = Bicubic(scale=2, channels=1)(lr)

    # Those were rounded after each of the two passes, ours is not.
    assert (255 * sr[0, 0] - torch.tensor(expected)).abs().max() < 1.3
