"""A drawn clip of one second, predicted: run in a process of its own, `python -m` this module.

Prints one line: ``ok`` and what came out, or ``fault`` and why.
"""

from __future__ import annotations

import sys
import tempfile
from fractions import Fraction
from pathlib import Path

FRAMES = 10


def predicted() -> str:
    """What came out, in words.

    Raises:
        AvaffectError: something went wrong; ModelError: what came out cannot be right.
    """
    import numpy as np

    from avaffect.config import AnalysisConfig, PredictConfig
    from avaffect.datasets.synth.face import Person
    from avaffect.datasets.synth.film import Film, Role, write_film
    from avaffect.datasets.synth.script import control_times, random_speech
    from avaffect.datasets.synth.voice import random_voice
    from avaffect.errors import ModelError
    from avaffect.predicting.run import predict

    rng = np.random.default_rng(1)
    smile = np.zeros((len(control_times(1.0)), 6))
    smile[:, 0] = 1
    film = Film(
        name="selftest",
        size=(240, 240),
        fps=Fraction(FRAMES),
        frames=FRAMES,
        scale=1.0,
        roles=(Role("selftest", Person(), smile),),
        voice=random_voice(rng),
        speech=random_speech(rng, 1.0),
        faceless=None,
        seed=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "selftest.mp4")
        write_film(clip, film, lambda _: None)
        config = PredictConfig(analysis=AnalysisConfig(encoders=()))
        result = predict(clip, config=config, device="cpu")
    if (result.frames, result.found) != (FRAMES, FRAMES):
        raise ModelError(f"{result.found} of {FRAMES} faces were found in {result.frames} frames")
    values = result.predictions[0].va
    if values is None or np.isnan(values).any():
        raise ModelError("a frame has no valence")
    return f"{FRAMES} frames, a face in each, mean valence {values[:, 0].mean():+.2f}"


def main() -> None:
    """Print the line."""
    try:
        line = f"ok {predicted()}"
    except Exception as error:  # whatever is broken
        line = f"fault {type(error).__name__}: {' '.join(str(error).split())}"
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
