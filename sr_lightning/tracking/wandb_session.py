"""A W&B run that neither ends nor holds the training, whatever its server or wandb's own process does.

wandb 0.31 raises where the server does not answer its first request, where an artifact is logged while it is silent
(after 19 s), and where its own process has been killed; `finish` waits for ever unless told. Here each of these ends
in an offline run of the same id, which goes on where the other stopped: `wandb sync` joins the two.
"""

import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import rich
import wandb

from sr_lightning.refusal import Refusal

log = logging.getLogger(__name__)

# wandb writes its file every 15 seconds; what it still holds is lost when this process is killed, with its own.
FLUSH_SECONDS = 0.2
# Bytes of a file in which nothing has been recorded.
HEADER = 7

Act = Callable[[wandb.Run], None]
Mode = Literal["online", "offline", "disabled", "shared"]


class Session:
    """The W&B run of a run folder, over at most one change from online to offline.

    Args:
        folder: where wandb keeps its own folder `wandb`.
        mode: `offline`, `online` or `disabled`; None for what wandb's own settings say.
        timeouts: seconds to wait for the server at the start and at the end.
        prepare: done to every run that is begun: what a second, offline part needs as well.
        arguments: of `wandb.init`.

    Raises:
        Refusal: there are no credentials, or malformed ones.
    """

    def __init__(
        self, *, folder: Path, mode: Mode | None, timeouts: tuple[int, int], prepare: Act, **arguments: Any
    ) -> None:
        self.folder = folder
        self.mode = mode
        self.timeouts = timeouts
        self.prepare = prepare
        self.arguments = arguments
        self._fallen_back = False
        self._run: wandb.Run | None = None
        _remove_empty_parts(folder)
        try:
            self._run = self._begin()
        except (wandb.errors.UsageError, wandb.errors.AuthenticationError) as error:
            raise Refusal(
                f"logger.wandb: {_line(error)} It stores a key; logger.wandb.offline=true needs none."
            ) from error
        except Exception as error:  # whatever it is, the training has to go on
            self._fall_back(error)
        if self._run is not None and self._run.url:
            _print(f"W&B: {self._run.url}")

    def do(self, act: Act) -> None:
        """Let something be done to the run; where that fails, it is done again to an offline one."""
        if self._run is None:
            return
        try:
            act(self._run)
        except Exception as error:  # as above
            self._fall_back(error)
            # A second failure leaves no run.
            self.do(act)

    def end(self, exit_code: int) -> None:
        """Finish, within the time for it."""
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.finish(exit_code=exit_code)
        except Exception as error:
            self._tell(f"not everything has been uploaded ({_line(error)})", self._sync(online=True))
        else:
            if run.offline and not self._fallen_back:
                _print(f"W&B: recorded offline; {self._sync(online=False)}")

    def _begin(self) -> wandb.Run:
        # Otherwise wandb prints lines of its own, and asks for a key in the middle of a training.
        wandb.setup(settings=wandb.Settings(silent=True))
        # It keeps a log of its own; the configuration need not stand in `train.log` again.
        logging.getLogger("wandb").propagate = False
        init_timeout, finish_timeout = self.timeouts
        run = wandb.init(
            dir=str(self.folder),
            mode=self.mode,
            resume="allow",
            # Another run of this process, forgotten by whoever made it, would be joined otherwise.
            reinit="create_new",
            settings=wandb.Settings(
                init_timeout=init_timeout,
                finish_timeout=finish_timeout,
                finish_timeout_raises=True,
                silent=True,
                x_transaction_log_flush_interval=FLUSH_SECONDS,
            ),
            **self.arguments,
        )
        self.prepare(run)
        return run

    def _fall_back(self, error: Exception) -> None:
        """Go on offline; where that fails too, go on without W&B."""
        log.warning("W&B failed", exc_info=error)
        run, self._run = self._run, None
        if self._fallen_back:
            self._tell(f"failed again ({_line(error)})", "nothing more of this run is recorded there.")
            return
        self._tell(f"failed ({_line(error)})", f"the run goes on and is recorded offline: {self._sync(online=True)}")
        self._fallen_back, self.mode = True, "offline"
        with suppress(Exception):
            if run is not None:
                run.finish()
        with suppress(Exception):
            # wandb's process may be dead, or hold on to the run's id.
            wandb.teardown()
        try:
            self._run = self._begin()
        except Exception as again:
            self._fall_back(again)

    def _sync(self, *, online: bool) -> str:
        """Return the command that uploads what is in the folder; parts that began online are skipped unless named."""
        return f"`wandb sync {'--include-online ' if online else ''}{self.folder / 'wandb'}` uploads it."

    def _tell(self, what: str, then: str) -> None:
        log.warning("W&B: %s; %s", what, then)
        _print(f"W&B: {what}; {then}", style="yellow")


def _remove_empty_parts(folder: Path) -> None:
    """Remove what a run leaves that is killed in its first moments: `wandb sync` refuses the whole folder for it."""
    for path in folder.glob("wandb/*run-*/run-*.wandb"):
        if path.stat().st_size <= HEADER:
            shutil.rmtree(path.parent)


def _print(line: str, *, style: str | None = None) -> None:
    rich.get_console().print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
