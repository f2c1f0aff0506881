"""Four small corpora of hums, as their makers lay them out."""

import csv
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

PEOPLE = {
    "ravdess": ("1", "2", "3", "4", "5"),
    "nemo": ("EB0", "KS0"),
    "casia": ("liuchanhg", "wangzhe"),
    "tess": ("OAF", "YAF"),
}
THEIRS = {
    "nemo": ("anger", "fear", "happiness", "neutral", "sadness", "surprised"),
    "casia": ("angry", "fear", "happy", "neutral", "sad", "surprise"),
    "tess": ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad"),
}
OURS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def hum(number: int, rate: int = 16_000, seconds: float = 0.7) -> NDArray[np.float32]:
    """A tone of a pitch and a tremor of its own, between silences."""
    at = np.arange(round(seconds * rate)) / rate
    tone = sum(np.sin(2 * np.pi * (90 + 7 * number) * k * at) / k for k in range(1, 9))
    tone = 0.1 * tone * (1 + 0.5 * np.sin(2 * np.pi * (1 + number % 5) * at))
    return np.asarray(np.pad(tone, rate // 8), np.float32)


def make_corpora(folder: Path) -> dict[str, Path]:
    """The folder of each; RAVDESS's last take is there twice."""
    count = 0

    def say(path: Path, rate: int = 16_000) -> None:
        nonlocal count
        path.parent.mkdir(parents=True, exist_ok=True)
        count += 1
        soundfile.write(path, hum(count, rate), rate)

    out = {name: folder / name for name in PEOPLE}
    rows = []
    for actor in PEOPLE["ravdess"]:
        for label in OURS:
            path = out["ravdess"] / f"{actor}-{label}.wav"
            say(path)
            strong = "02" if label == "angry" and actor == "1" else "01"
            rows.append((path.name, actor, "MF"[int(actor) % 2], label, strong, int(actor) % 5))
    copy = out["ravdess"] / "copy.wav"
    copy.write_bytes((out["ravdess"] / rows[-1][0]).read_bytes())
    rows.append((copy.name, *rows[-1][1:]))
    with (out["ravdess"] / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "subject", "sex", "label", "intensity", "fold5", "av_key"))
        writer.writerows((*row, row[0].removesuffix(".wav")) for row in rows)
    lines = ["file_id\temotion\traw_text\tspeaker_id\tgender\tage"]
    for person, sex in zip(PEOPLE["nemo"], ("female", "male"), strict=True):
        for label in THEIRS["nemo"]:
            say(out["nemo"] / "samples" / f"{person}_{label}_1.wav", 24_000)
            lines.append(f"{person}_{label}_1.wav\t{label}\tcze\t        {person}\t{sex}\t27")
    (out["nemo"] / "data.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for person in PEOPLE["casia"]:
        for label in THEIRS["casia"]:
            say(out["casia"] / person / label / "201.wav")
    for person in PEOPLE["tess"]:
        for label in THEIRS["tess"]:
            say(out["tess"] / "train" / f"{person}_{label}" / f"{person}_back_{label}.wav", 24_414)
    say(out["tess"] / "testnew" / "7testOAF_bar_ps28.wav", 24_414)
    say(out["tess"] / "testnew" / "8testOA_bite_neutral48.wav", 24_414)
    return out
