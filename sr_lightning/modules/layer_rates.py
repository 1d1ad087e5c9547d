"""Layers that learn faster or slower than the others, as SRCNN's and FSRCNN's last do."""

from collections.abc import Callable, Iterable, Mapping

from torch import nn
from torch.optim import Optimizer

from sr_lightning.refusal import nearest


class LayerRates:
    """Makes an optimiser of a network in which some layers have a share of the rate; schedules act on all alike.

    Args:
        make: makes the optimiser of groups of parameters.
        network: the network, by whose names the layers are known.
        shares: of the rate, by the name of a layer or of a module that holds several ("tail", "body.0"). Of two that
            hold the same parameter the inner one counts.

    Raises:
        ValueError: a share is not positive, or the network has no parameters of that name.
    """

    def __init__(self, make: Callable[..., Optimizer], network: nn.Module, *, shares: Mapping[str, float]) -> None:
        self._make = make
        self._shares: dict[nn.Parameter, float] = {}
        for layer, share in sorted(shares.items(), key=lambda item: item[0].count(".")):
            if share <= 0:
                raise ValueError(f"{layer}: expected a positive share of the rate, got {share}.")
            parameters = [
                parameter for name, parameter in network.named_parameters() if f"{name}.".startswith(f"{layer}.")
            ]
            if not parameters:
                names = dict.fromkeys(name.partition(".")[0] for name, _ in network.named_parameters())
                raise ValueError(
                    f"{layer}: the network has no such layer; it has {', '.join(names)}{nearest(layer, names)}"
                )
            self._shares |= dict.fromkeys(parameters, share)

    def __call__(self, parameters: Iterable[nn.Parameter], **settings: float) -> Optimizer:
        """Return the optimiser; the first group is of the full rate, which is what gets logged.

        Args:
            parameters: those that are trained.
            settings: of the optimiser, `lr` for another rate than the configured.
        """
        groups: dict[float, list[nn.Parameter]] = {1.0: []}
        for parameter in parameters:
            groups.setdefault(self._shares.get(parameter, 1.0), []).append(parameter)
        groups = {share: group for share, group in groups.items() if group}
        optimizer = self._make([{"params": group} for group in groups.values()], **settings)
        for group, share in zip(optimizer.param_groups, groups, strict=True):
            group["lr"] *= share
        return optimizer
