import pytest
import torch

from sr_lightning.losses.style import StyleLoss


@pytest.mark.parametrize("criterion", ["l1", "mse"])
def test_gram_matrices_by_hand(criterion):
    layers = {"conv1_1": 0.5, "relu2_1": 2.0}
    loss = StyleLoss(layers=layers, criterion=criterion, weights="random")
    sr, hr = torch.rand(2, 2, 3, 8, 12)
    expected = 0.0
    for layer, weight in layers.items():
        grams = []
        for features in (loss.features(sr)[layer], loss.features(hr)[layer]):
            gram = torch.einsum("ncyx,ndyx->ncd", features, features)
            grams.append(gram / features[0].numel())
        distance = (grams[0] - grams[1]).abs()
        expected += weight * (distance if criterion == "l1" else distance.square()).mean()
    torch.testing.assert_close(loss(sr, hr), expected)


def test_does_not_see_where_a_texture_is():
    torch.manual_seed(0)
    loss = StyleLoss(layers={"conv1_1": 1.0}, weights="random")
    hr = torch.rand(1, 3, 16, 16)
    turned = hr.roll((5, 3), dims=(-2, -1))
    assert loss(turned, hr) < 0.2 * loss(torch.rand(1, 3, 16, 16) * 0.5, hr)
    sr = torch.rand(1, 3, 16, 16, requires_grad=True)
    loss(sr, hr).backward()
    assert sr.grad.abs().max() > 0
