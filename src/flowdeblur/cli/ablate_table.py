"""``flowdeblur ablate table``: the table in each format, with rows of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flowdeblur.ablation.formats import to_latex, to_markdown
from flowdeblur.ablation.jobs import SweepJob
from flowdeblur.ablation.plain_yaml import load_yaml
from flowdeblur.ablation.results import AblationRow, add_published, collect
from flowdeblur.ablation.run_result import read_scored_frames
from flowdeblur.ablation.sweep import Sweep
from flowdeblur.ablation.table import AblationTable, numbers, to_csv
from flowdeblur.engine.configuration import config_dir
from flowdeblur.errors import UserError
from flowdeblur.files import write_text

_SUFFIXES = {".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html"}


def tabulate(
    sweep: Sweep, runs: Path, jobs: Sequence[SweepJob], arguments: argparse.Namespace
) -> int:
    """Print the table of a sweep, or write it to files.

    Args:
        sweep: the sweep.
        runs: folder of its runs.
        jobs: its runs.
        arguments: command line of ``ablate table``.

    Raises:
        UserError: an option or a file is wrong, or there is nothing to tabulate.
    """
    for path in arguments.out:
        if path.suffix not in _SUFFIXES:
            raise UserError(f"--out {path}: end it in one of {', '.join(_SUFFIXES)}")
    rows = collect(jobs, (arguments.config_dir or config_dir()) / "ablation")
    for text in arguments.predictions:
        rows.append(_prediction_row(text, rows, runs / "predictions"))
    if arguments.published:
        rows = add_published(rows, arguments.published)
    columns = arguments.columns.split(",") if arguments.columns else None
    table = AblationTable(sweep.title, rows, arguments.reference, columns)
    if not arguments.out:
        print(_formatted(table, arguments.format, sweep.name), end="")
    for path in arguments.out:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, _formatted(table, _SUFFIXES[path.suffix], sweep.name))
        print(path)
    if arguments.wandb:
        from flowdeblur.engine.loggers import log_table

        log_table(arguments.wandb, sweep.name, *numbers(table), runs)
    return 0


def _formatted(table: AblationTable, form: str, name: str) -> str:
    if form == "latex":
        return to_latex(table, name)
    if form == "html":
        from flowdeblur.ablation.page import to_html

        return to_html(table)
    return to_csv(table) if form == "csv" else to_markdown(table)


def _prediction_row(text: str, rows: Sequence[AblationRow], folder: Path) -> AblationRow:
    """Score frames of another program on the test data of the sweep, once."""
    name, _, frames = text.partition("=")
    if not name or not frames or "/" in name:
        raise UserError(f"--predictions {text}: write NAME=DIR")
    done = [result for row in rows for result in row.results]
    if not done:
        raise UserError("--predictions: no run is done yet, so that the test data are unknown")
    if name in [row.name for row in rows]:
        raise UserError(f"--predictions {name}: there is a row of this name; choose another one")
    if not (folder / name / "metrics.json").exists():
        _score(Path(frames), load_yaml(done[0].folder / "config.yaml")["data"], folder / name)
    return AblationRow(name, name, {}, [read_scored_frames(folder / name, Path(frames), done[0])])


def _score(frames: Path, data: Mapping[str, Any], folder: Path) -> None:
    from omegaconf import open_dict

    from flowdeblur.cli.overrides import compose_configuration
    from flowdeblur.engine.evaluation import evaluate

    config = compose_configuration("evaluate", ["run_dir=."])
    folder.mkdir(parents=True, exist_ok=True)
    with open_dict(config):
        config.update(predictions=str(frames), run_dir=str(folder), data=dict(data))
    evaluate(config)
