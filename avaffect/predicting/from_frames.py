"""``predict_frames``: frames that the caller has become predictions, as those of a file do."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from avaffect.challenge.text import subject_file_name
from avaffect.config import PredictConfig
from avaffect.errors import UsageError, boundary
from avaffect.files.names import WAV
from avaffect.files.temporaries import temporary_folder
from avaffect.media.given import Given
from avaffect.media.sound import SoundInfo, extract_sound
from avaffect.models.device import choose_device
from avaffect.predicting.loudness import loudness_of
from avaffect.predicting.run import Result, provenance_of, result_of
from avaffect.predicting.settings import chosen_config, chosen_predictor, require_made
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.sound import SoundReader, sound_arrays
from avaffect.preprocessing.video_pass import Analysis, analyse
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.sound.samples import as_samples, mixed
from avaffect.store.keys import keys, pass_key
from avaffect.store.subject import FACES

Samples = NDArray[np.floating[Any]]


@boundary()
def predict_frames(
    frames: Iterable[NDArray[np.uint8]],
    times: Iterable[float] | None = None,
    fps: float | None = None,
    task: str | Sequence[str] = "all",
    *,
    sound: tuple[Samples, float] | None = None,
    name: str = "frames",
    model: str | None = None,
    checkpoint: Path | str | None = None,
    missing: str | None = None,
    smooth: str | None = None,
    subjects: str | None = None,
    config: PredictConfig | None = None,
    device: str = "auto",
    on_event: EventCallback = ignore_events,
) -> Result:
    """Predict frames that you have in place of a file.

    The result is that of `predict` on a file with the same frames at the same times: all frames
    are known before anything is said of the first. The voice may differ by some thousandths,
    since a file's own clock places its sound. Frames are read once and not kept, so an iterator
    may be as long as a file. For results as the frames come see :class:`avaffect.Session`.

    >>> result = predict_frames(frames, fps=25, task="va")  # doctest: +SKIP

    Args:
        frames: uint8 [H, W, 3] each, RGB, upright, in square pixels.
        times: seconds of each frame, increasing; give these or ``fps``.
        fps: frames a second.
        task: as `predict` takes it; so are all others that are not named here.
        sound: samples, float [n] or [channels, n] in -1..1, and their rate in hertz (1,000 to
            384,000). The first sample is at the time of the first frame. None: no sound.
        name: what the subjects are called.

    Raises:
        UsageError: frames, times or sound that cannot be used, and as `predict`; or a model that
            looks at pictures or at features of your own.
        NoFramesError: there are no frames.
        ModelError: weights are not to be had or damaged.
    """
    subject_file_name(name)
    given = Given(Path(name), frames, times, fps)
    if sound is not None:
        sound = (as_samples(*sound), float(sound[1]))
    config = chosen_config(
        task,
        model=model,
        checkpoint=checkpoint,
        missing=missing,
        smooth=smooth,
        subjects=subjects,
        config=config,
    )
    device = choose_device(device).name
    predictor = chosen_predictor(config, device)
    require_made(predictor)
    predictor.require_settings(config.analysis.to_dict())
    if FACE_PICTURES in predictor.needs:
        raise UsageError(
            f"'{predictor.name}' looks at pictures that are kept on the disk",
            "write the frames to a file and use predict",
        )
    key = hashlib.sha256(name.encode()).hexdigest()
    wanted = pass_key(keys(key, config.analysis), (FACES, *config.analysis.encoders))
    with temporary_folder(Path(tempfile.gettempdir()), "avaffect") as work:
        nets = Nets.load(config.analysis, device, on_event)
        found = analyse(given, config.analysis, nets, work, wanted, on_event=on_event)
        heard = _spool_sound(sound, config, found, work, device, on_event)
        loudness = loudness_of(work / WAV, heard, config.analysis.faces)
        about = provenance_of(name, "", config, found)
        about["sound"] = None if heard is None else asdict(heard)
        people = found.spooled(config.analysis.faces, name)
        return result_of(given.path, people, config, predictor, about, loudness).on(device)


def _spool_sound(
    sound: tuple[Samples, float] | None,
    config: PredictConfig,
    found: Analysis,
    work: Path,
    device: str,
    on_event: EventCallback,
) -> SoundInfo | None:
    """Write the arrays that are made of sound."""
    arrays = sound_arrays(config.analysis)
    info, wav = None, work / WAV
    if sound is not None and arrays:
        samples, rate = sound
        as_given = work / "given.wav"
        soundfile.write(as_given, mixed(samples), round(rate), subtype="FLOAT")
        info = extract_sound(
            as_given, config.analysis.media, wav, first_time_s=0.0, on_event=on_event
        )
    reader = SoundReader(wav, info, config.analysis, arrays, on_event, device)
    found.spool.write_rows(reader.specs, reader.chunks(found.spool.times()))
    return info
