"""``export`` of an ensemble: a folder that predicts by ONNX Runtime, without torch.

<out>/joined.json, postprocess.json   as in the ensemble
<out>/<path of a model>/              its checkpoint.json, network.onnx and exported.json
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from avaffect.errors import CheckpointError, UsageError, boundary
from avaffect.files.atomic import write_bytes
from avaffect.files.names import JOINED
from avaffect.files.ours import require_ours
from avaffect.files.outside import read_bytes, real_path
from avaffect.networks.checkpoint import FACTS, checkpoint_folder, read_checkpoint
from avaffect.networks.exported import EXPORTED, NET, is_exported
from avaffect.predictions.postprocess import FILE as POSTPROCESS
from avaffect.predictors.facts import require_same
from avaffect.predictors.joined import SETTINGS, Joined
from avaffect.progress import Event, EventCallback, Progress, ignore_events
from avaffect.training.export import export_beside


@dataclass(frozen=True)
class ExportedEnsemble:
    """The exported folder.

    Attributes:
        folder: to predict with.
        models: how many networks are in it, with that of a stack.
        bytes: of these networks.
    """

    folder: Path
    models: int
    bytes: int


@boundary()
def export_ensemble(
    place: Path | str, out: Path | str, on_event: EventCallback = ignore_events
) -> ExportedEnsemble:
    """Write the models of an ensemble as ONNX, with all that is needed to join them.

    Each network is compared with PyTorch, see `training.export.export_onnx`; what was exported
    when it was trained is taken as it is.

    Args:
        place: the ensemble's folder.
        out: the folder to write; an earlier export there is replaced.
        on_event: progress in models.

    Raises:
        UsageError: ``out`` is an ensemble's folder.
        CheckpointError: the ensemble is not finished, a model is damaged, or cannot be exported.
        ForeignFileError: something is in the way that avaffect did not write.
        OutputError: the disk does not take it.
    """
    place, out = Path(place), Path(out)
    joined = Joined.load(place)
    if (out / SETTINGS).exists() or real_path(out) == real_path(place):
        raise UsageError(f"'{out}' holds an ensemble itself", "choose another folder")
    models = [*(path for some in joined.members.values() for path in some.items()),
              *joined.stack.items()]  # fmt: skip
    tops = sorted({Path(path).parts[0] for path, _ in models})
    ours = [JOINED, POSTPROCESS, *tops]
    require_ours(out, [out / name for name in ours], ours if (out / JOINED).is_file() else ())
    for done, (path, sha256) in enumerate(models, start=1):
        folder = checkpoint_folder(place / path)
        require_same(folder, read_checkpoint(folder), sha256)
        if not is_exported(folder, sha256):
            problems: list[Event] = []
            export_beside(folder, problems.append)
            for problem in problems:
                text = getattr(problem, "text", str(problem))
                raise CheckpointError(text, "predict with the ensemble as it is")
        last = done == len(models)
        on_event(Progress("export", done, len(models), "models", finished=last))
    # Without it the folder is no model until all is there.
    (out / JOINED).unlink(missing_ok=True)
    for path, _ in models:
        (out / path).mkdir(parents=True, exist_ok=True)
        for name in (FACTS, NET, EXPORTED):
            shutil.copyfile(checkpoint_folder(place / path) / name, out / path / name)
    size = sum((out / path / NET).stat().st_size for path, _ in models)
    (out / POSTPROCESS).unlink(missing_ok=True)
    if (place / POSTPROCESS).is_file():
        write_bytes(out / POSTPROCESS, read_bytes(place / POSTPROCESS))
    joined.save(out)
    return ExportedEnsemble(out, len(models), size)
