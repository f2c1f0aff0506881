"""Look at the surest errors of the voice model: spectrogram and pitch, and what they are like.

    python starter_training/voice_errors.py --takes work/voices --runs work/voice/half \\
        --out work/voice/errors

writes ``CORPUS.png`` for each corpus that was left out, a row of three for each of its surest
errors, one an expression (what was acted, what was said), beside a take of the same speaker and
expression that was told right; and prints, for Neutral told right and told wrong, pitch over the
speaker's own, its range, and how long the speech is. The blue line is the pitch.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from voice_corpora import CORPORA, Take, read_takes
from voice_multi_figures import EXPRESSIONS, Said, Truth, as_expressions, expression, nameable
from voice_sounds import Sound, load_take, speech_span

from avaffect.arrays import softmax
from avaffect.config import SAMPLE_RATE

Array = NDArray[np.float64]

# A row each 10 ms of 40 ms.
HOP, LONG = SAMPLE_RATE // 100, SAMPLE_RATE // 25
LOWEST_HZ, HIGHEST_HZ = 70, 500
# A row is voiced if its sound repeats itself so well.
VOICED = 0.5
OCTAVE = 0.05
PANEL = (160, 240)
TOP_HZ = 5000
NEUTRAL = 0
MOST = 60


def rows_of(sound: Sound) -> Array:
    """[T, LONG], pieces of a sound."""
    if len(sound) < LONG:
        sound = np.pad(sound, (0, LONG - len(sound)))
    return np.lib.stride_tricks.sliding_window_view(sound, LONG)[::HOP].astype(float)


def pitch(sound: Sound) -> Array:
    """[T] hertz, NaN where there is no voice: where the autocorrelation is highest."""
    rows = rows_of(sound)
    rows = (rows - rows.mean(axis=1, keepdims=True)) * np.hanning(LONG)
    power = np.abs(np.fft.rfft(rows, 2 * LONG)) ** 2
    like = np.fft.irfft(power)[:, :LONG]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(LONG), 2 * LONG)) ** 2)[:LONG]
    like = like / np.maximum(like[:, :1], 1e-12) / np.maximum(window / window[0], 0.05)
    lags = np.arange(SAMPLE_RATE // HIGHEST_HZ, SAMPLE_RATE // LOWEST_HZ)
    # Two periods are alike as well as one: the shorter lag is preferred.
    best = like[:, lags] - OCTAVE * np.log2(lags / lags[0])
    found = SAMPLE_RATE / lags[best.argmax(axis=1)].astype(float)
    loud = rows.std(axis=1) > 0.05 * rows.std(axis=1).max()
    return np.where((best.max(axis=1) > VOICED) & loud, found, np.nan)


def semitones(hertz: Array) -> Array:
    return 12 * np.log2(hertz / 100)


def panel(sound: Sound) -> NDArray[np.uint8]:
    """[H, W, 3], spectrogram to ``TOP_HZ`` and pitch of a sound of any length."""
    rows = rows_of(sound)
    decibels = 20 * np.log10(np.abs(np.fft.rfft(rows * np.hanning(LONG))) + 1e-6)
    decibels = decibels[:, : TOP_HZ * LONG // SAMPLE_RATE].T[::-1]
    grey = np.clip((decibels - decibels.max() + 60) / 60, 0, 1)
    picture = cv2.resize((255 * (1 - grey)).astype(np.uint8), PANEL[::-1])
    out = np.repeat(picture[..., None], 3, axis=2)
    found = pitch(sound)
    for place in np.flatnonzero(np.isfinite(found)):
        across = int(place / len(found) * (PANEL[1] - 1))
        up = int((1 - found[place] / HIGHEST_HZ) * (PANEL[0] - 1))
        cv2.circle(out, (across, up), 1, (255, 60, 0), -1)
    return out


def sheet(rows: Sequence[tuple[str, Sequence[Sound]]]) -> NDArray[np.uint8]:
    """All rows, each under its title."""
    out = []
    for title, sounds in rows:
        bar = np.full((18, 2 * PANEL[1], 3), 255, np.uint8)
        cv2.putText(bar, title, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
        pictures = [panel(sound) for sound in sounds]
        pictures += [np.full((*PANEL, 3), 255, np.uint8)] * (2 - len(pictures))
        out += [bar, np.hstack(pictures)]
    return np.vstack(out)


def heard(take: Take) -> Sound:
    sound = load_take(Path(take.path).read_bytes())
    return sound[slice(*speech_span(sound))]


def like(takes: Sequence[Take], some: Sequence[int], usual: dict[str, float]) -> str:
    """What takes are like: their means."""
    if not len(some):
        return "none"
    rows = []
    for i in some:
        sound = heard(takes[i])
        tones = semitones(pitch(sound))
        tones = tones[np.isfinite(tones)]
        if len(tones) > 5:
            spread = float(np.ptp(np.quantile(tones, [0.1, 0.9])))
            over = float(np.median(tones)) - usual[takes[i].speaker]
            rows.append((over, spread, len(sound) / SAMPLE_RATE))
    over, spread, seconds = np.mean(rows, axis=0)
    return f"{over:+.1f} semitones, range {spread:.1f}, {seconds:.1f} s ({len(rows)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    takes = read_takes(options.takes / "takes.csv")
    truth, rng = Truth.of(takes), np.random.default_rng(0)
    options.out.mkdir(parents=True, exist_ok=True)
    for corpus in CORPORA:
        path = options.runs / f"{corpus}.npz"
        said = Said.read(path, "clean") if path.exists() else None
        if said is None:
            continue
        mean = nameable(said, truth).means()
        chances = as_expressions(softmax(mean.logits))
        label, guess = expression(truth.label[mean.take]), chances.argmax(axis=1)
        rows: list[tuple[str, Sequence[Sound]]] = []
        for k in np.unique(label):
            wrong = np.flatnonzero((label == k) & (guess != k))
            if not len(wrong):
                continue
            worst = int(wrong[chances[wrong].max(axis=1).argmax()])
            take = takes[mean.take[worst]]
            right = [
                takes[mean.take[i]]
                for i in np.flatnonzero((label == k) & (guess == k))
                if takes[mean.take[i]].speaker == take.speaker
            ]
            sure = chances[worst].max()
            title = f"{EXPRESSIONS[k]}, said {EXPRESSIONS[guess[worst]]} {sure:.2f} | right"
            rows.append((f"{take.speaker} {title}", [heard(one) for one in [take, *right[:1]]]))
        cv2.imwrite(str(options.out / f"{corpus}.png"), sheet(rows))
        usual = {}
        for speaker in np.unique(truth.speaker[mean.take]):
            mine = rng.permutation(mean.take[truth.speaker[mean.take] == speaker])[:20]
            tones = [np.nanmedian(semitones(pitch(heard(takes[i])))) for i in mine]
            usual[str(speaker)] = float(np.nanmedian(tones))
        plain = label == NEUTRAL
        for name, kept in {
            "told right": plain & (guess == NEUTRAL),
            "told wrong": plain & (guess != NEUTRAL),
        }.items():
            mine = rng.permutation(mean.take[kept])[:MOST]
            print(f"{corpus}, Neutral {name}: {like(takes, mine.tolist(), usual)}", flush=True)
        found = np.bincount(guess[plain], minlength=len(EXPRESSIONS)) / max(plain.sum(), 1)
        shares = {n: round(float(s), 2) for n, s in zip(EXPRESSIONS, found, strict=True) if s}
        print(f"{corpus}, Neutral said to be {shares}", flush=True)


if __name__ == "__main__":
    main()
