"""One training run: from a configuration to weights, scores and images in a run folder."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm
from omegaconf import DictConfig
from tqdm.contrib.logging import logging_redirect_tqdm

import flowdeblur
from flowdeblur import weights
from flowdeblur.data import DataModule
from flowdeblur.engine import cluster
from flowdeblur.engine.assembly import make_data, make_network, make_task, make_trainer
from flowdeblur.engine.checkpoints import best_checkpoint, network_state, newest_checkpoint, verify
from flowdeblur.engine.configuration import check, check_root, plain
from flowdeblur.engine.loggers import connect, finish, interrupt, log_settings
from flowdeblur.engine.ranges import check_ranges
from flowdeblur.engine.report import cost, hardware, summary
from flowdeblur.errors import UserError
from flowdeblur.runs import PLACES, RunFolder, refuse_other_folder
from flowdeblur.training.callbacks import (
    CheckSameStep,
    Clock,
    GracefulShutdown,
    History,
    LayerHealth,
    Performance,
    ProgressFile,
    ResumeBatchCounter,
)
from flowdeblur.training.task import Task
from flowdeblur.types import Network

log = logging.getLogger(__name__)

# Lightning logs the hardware and its arguments at every start.
for library in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(library).setLevel(logging.WARNING)
# Our batches are a function of the step, so that resuming in mid-epoch is exact.
warnings.filterwarnings("ignore", ".*your dataloader is not resumable.*")
# It does whenever a run resumes.
warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
# Few workers, or none, are enough: preparing a batch is cheap compared with a training step.
warnings.filterwarnings("ignore", ".*does not have many workers.*")
# It warns on every login node; SLURM's variables define how processes are started.
warnings.filterwarnings("ignore", ".*`srun` command is available.*")
# Scores are averaged exactly over processes before they are logged.
warnings.filterwarnings("ignore", ".*sync_dist=True.*")
# Lightning 2.6 with torch 2.13.
warnings.filterwarnings("ignore", ".*isinstance.treespec, LeafSpec.*")


def train(config: DictConfig) -> float:
    """Train, score on held-out data, and write the run folder; resume an interrupted run.

    Args:
        config: composed from ``conf/train.yaml``.

    Returns:
        The task's score on the validation data, for sweepers: PSNR in dB, or the loss for
        ``task=flow``.

    Raises:
        UserError: the configuration or a file it names is wrong.
        RuntimeFailureError: training diverged, the disk is full, ...
    """
    settings = plain(config)
    check_root(settings)
    check_ranges(settings)
    check(settings["trainer"], "trainer")  # a schedule may refer to its budget
    refuse_other_folder(Path(settings["run_dir"]))
    folder = RunFolder(Path(settings["run_dir"]))
    folder.check(settings)
    L.seed_everything(settings["seed"], workers=True, verbose=False)
    network = make_network(settings)
    task = make_task(settings, network)
    data = make_data(settings, network)
    history, clock = History(), Clock(settings["max_minutes"], settings["budget_minutes"])
    performance = Performance(data.batch_size)
    interruption = GracefulShutdown(folder.checkpoints)
    trainer = make_trainer(
        settings,
        [
            *(history, clock, ProgressFile(folder.write_progress, clock), performance),
            *(CheckSameStep(), ResumeBatchCounter()),
        ],
        [interruption],
    )
    cluster.share_batches(trainer, data)
    with cluster.managed_run(trainer, folder, interruption):
        begin(trainer, folder, settings)
        fit(trainer, task, data, folder)
        if trainer.global_step < trainer.max_steps and clock.interrupted:
            log.info(
                "stopped by max_minutes=%g at step %d of %d; the same command resumes the run",
                settings["max_minutes"],
                trainer.global_step,
                trainer.max_steps,
            )
            interrupt(trainer.loggers)
            return float(trainer.callback_metrics[task.score])
        scores = evaluate(trainer, task, data)
        metrics = {
            "flowdeblur": flowdeblur.__version__,
            "parameters": sum(each.numel() for each in network.parameters()),
            "steps": trainer.global_step,
            "seconds": clock.seconds,
            "samples_per_second": performance.samples_per_second,
            "device": hardware(trainer),
            **scores,
            "lower_is_better": task.lower_is_better,
            "history": history.as_list(),
        }
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, LayerHealth):
                metrics["health"] = callback.summary()
        if trainer.is_global_zero:
            metrics["cost"] = cost(network, data, trainer.strategy.root_device)
            folder.write_frames(task.frame_scores)
            weights.save(
                folder.weights,
                network,
                settings["model"],
                training=_training(settings, trainer.global_step),
                metrics=scores,
            )
            save_best(folder, network, settings["model"], history)
            folder.write_metrics(metrics)
            log.info(summary(scores, folder))
            finish(trainer.loggers, folder)
    return float(scores["val"][task.score.removeprefix("val/")])


def _training(settings: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Metadata about the training; folders are omitted to avoid leaking local paths."""

    def public(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        private = PLACES | {"response"} if "_target_" in node else ()
        return {name: public(value) for name, value in node.items() if name not in private}

    return {"data": public(settings["data"]["train"]), "steps": steps}


def begin(trainer: L.Trainer, folder: RunFolder, settings: Mapping[str, Any]) -> None:
    """Write the configuration to the run folder and to the loggers."""
    if trainer.is_global_zero:
        folder.begin(settings)
        connect(trainer.loggers)
    else:
        folder.check(settings)
        logging.getLogger("flowdeblur").setLevel(logging.WARNING)  # one process logs messages
    log_settings(trainer.loggers, settings)


def fit(trainer: L.Trainer, task: Task, data: DataModule, folder: RunFolder) -> None:
    """Train from the newest checkpoint of the run folder, or from the start.

    Raises:
        UserError: Lightning refuses a setting.
    """
    checkpoint = newest_checkpoint(folder)
    if checkpoint is not None:
        verify(checkpoint)
        log.info("resuming from %s", checkpoint)
    if trainer.is_global_zero:
        folder.forget_interruptions(checkpoint)
    try:
        with logging_redirect_tqdm(tqdm_class=Tqdm):  # messages appear above the bar
            trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)
    except MisconfigurationException as error:  # a setting that a callback or a logger refuses
        raise UserError(" ".join(str(error).split())) from error
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, WeightAveraging):
            # Lightning does this after the last step, unless the checkpoint is of that step.
            callback.on_train_end(trainer, task)


def save_best(
    folder: RunFolder, network: Network, model: Mapping[str, Any], history: History
) -> None:
    """Write the weights of the best validation score; ``network`` holds them afterwards."""
    if (checkpoint := best_checkpoint(folder)) is None:
        return
    step, state = network_state(checkpoint)
    network.load_state_dict(state)
    weights.save(
        folder.best, network, model, metrics={"step": step, **history.scores.get(step, {})}
    )


def evaluate(trainer: L.Trainer, task: Task, data: DataModule) -> dict[str, dict[str, float]]:
    """Score the trained network on the validation and test data."""
    val = trainer.validate(task, data, verbose=False)[0]
    test = trainer.test(task, data, verbose=False)[0]
    return {
        "val": {name.removeprefix("val/"): value for name, value in val.items()},
        "test": {name.removeprefix("test/"): value for name, value in test.items()},
    }
