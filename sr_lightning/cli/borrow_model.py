"""`model=NAME` and its arguments in a command that trains nothing: composed as `train` does, handed over as a whole.

A network's yaml chooses losses, modules and recipes too, which only a training has groups for.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sr_lightning.cli.check import compose_checked, refuse_values
from sr_lightning.cli.compose import Composer, grammar, quoted
from sr_lightning.refusal import Refusal


def borrow_model(overrides: Sequence[str], *, config_dirs: Iterable[Path] = ()) -> tuple[list[str], list[str]]:
    """Split off the arguments that belong to the network.

    Args:
        overrides: the command's arguments.
        config_dirs: folders with the user's yamls.

    Returns:
        The other arguments, and what gives the command's own yaml the network: its `model` and `names.model`.

    Raises:
        Refusal: as `train` would for these arguments, or they name no network.
    """
    own = [text for text in overrides if _key(text).partition(".")[0] == "model"]
    others = [text for text in overrides if text not in own]
    if not own:
        return others, []
    if all(_key(text) != "model" for text in own):
        raise Refusal(f"{own[0]} is an argument of a network: say which, model=NAME {own[0]}.")
    scale = [text for text in others if _key(text) == "scale" and not text.endswith("=null")]
    composer = Composer("train", config_dirs=config_dirs)
    refuse_values(composer.parse([*own, *scale]), sweeps=False)
    composed = compose_checked(composer, [*own, *scale])
    # What a file of weights does not tell is assumed only where nobody has said it.
    typed = [_key(text).removeprefix("model.") for text in own if _key(text) != "model"]
    model = {**composed.tree["model"], "spec": {**(composed.tree["model"].get("spec") or {}), "typed": typed}}
    return others, [f"model={grammar(model)}", f"names.model={quoted(str(composed.choices['model']))}"]


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+~")
