"""Four corpora of acted voices in one table: RAVDESS, nEMO, CASIA and TESS.

    python starter_training/voice_corpora.py --ravdess DIR --nemo DIR --casia DIR --tess DIR \\
        --out work/voices

writes ``takes.csv`` (a row a take), and prints a table of what the sounds are like: rates,
durations, levels, silence, clipping, copies. Takes whose sound is there twice within a corpus are
left out. Folds are by speaker: RAVDESS's own five, the others' speakers dealt out among them.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from voice_sounds import STEP, load_take, speech_span

from avaffect.files.atomic import atomic_path

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CORPORA = ("ravdess", "nemo", "casia", "tess")
LICENCES = {
    "ravdess": "CC BY-NC-SA 4.0",
    "nemo": "CC BY-NC-SA 4.0",
    "casia": "none stated",
    "tess": "CC BY-NC-ND 4.0",
}
# What each corpus calls them; RAVDESS's names are ours.
NEMO = {"anger": "angry", "fear": "fearful", "happiness": "happy", "sadness": "sad"}
CASIA = {"fear": "fearful", "surprise": "surprised"}
TESS = {"fear": "fearful", "ps": "surprised"}
CASIA_SEX = {"liuchanhg": "F", "zhaoquanyin": "F", "wangzhe": "M", "ZhaoZuoxiang": "M"}
# In the order in which an emotion's voice is excited; ranks are taken within a speaker.
EXCITED = {
    "calm": 0.0,
    "sad": 0.0,
    "neutral": 1.0,
    "disgust": 2.0,
    "happy": 3.0,
    "fearful": 3.0,
    "surprised": 3.0,
    "angry": 4.0,
}
# A strong take is above a normal one, and below the next emotion.
STRONG = 0.5


@dataclass(frozen=True)
class Take:
    """One recording.

    Attributes:
        corpus: of ``CORPORA``.
        key: its name there.
        path: its file.
        speaker: unique over all corpora.
        sex: F or M.
        label: of ``LABELS``.
        intensity: "01" normal, "02" strong; only RAVDESS has the latter.
        fold: 0..4, by speaker.
    """

    corpus: str
    key: str
    path: str
    speaker: str
    sex: str
    label: str
    intensity: str
    fold: int


def ravdess(folder: Path) -> Iterator[Take]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Take(
                "ravdess",
                row["av_key"],
                str(folder / row["path"]),
                f"ravdess-{row['subject']}",
                row["sex"],
                row["label"],
                row["intensity"],
                int(row["fold5"]),
            )


def nemo(folder: Path) -> Iterator[Take]:
    with (folder / "data.tsv").open(encoding="utf-8", newline="") as file:
        rows = [
            {name: value.strip() for name, value in row.items()}
            for row in csv.DictReader(file, delimiter="\t")
        ]
    fold = dealt({row["speaker_id"]: row["gender"][0].upper() for row in rows})
    for row in rows:
        yield Take(
            "nemo",
            row["file_id"],
            str(folder / "samples" / row["file_id"]),
            f"nemo-{row['speaker_id']}",
            row["gender"][0].upper(),
            NEMO.get(row["emotion"], row["emotion"]),
            "01",
            fold[row["speaker_id"]],
        )


def casia(folder: Path) -> Iterator[Take]:
    fold = dealt(CASIA_SEX)
    for path in sorted(folder.glob("*/*/*.wav")):
        speaker, emotion = path.parts[-3:-1]
        yield Take(
            "casia",
            "/".join(path.parts[-3:]),
            str(path),
            f"casia-{speaker}",
            CASIA_SEX[speaker],
            CASIA.get(emotion, emotion),
            "01",
            fold[speaker],
        )


def tess(folder: Path) -> Iterator[Take]:
    """Names end in ``OAF_word_emotion.wav``; one is written ``OA``, the held-out ones numbered."""
    for path in sorted(folder.rglob("*.wav")):
        emotion = path.stem.rsplit("_", 1)[1].rstrip("0123456789").lower()
        speaker = "OAF" if "OA" in path.stem else "YAF"
        yield Take(
            "tess",
            path.stem,
            str(path),
            f"tess-{speaker}",
            "F",
            TESS.get(emotion, emotion),
            "01",
            {"OAF": 1, "YAF": 3}[speaker],
        )


READERS = {"ravdess": ravdess, "nemo": nemo, "casia": casia, "tess": tess}


def dealt(sex: Mapping[str, str], folds: int = 5) -> dict[str, int]:
    """Speakers dealt out among folds, women first."""
    ordered = sorted(sex, key=lambda speaker: (sex[speaker], speaker))
    return {speaker: i % folds for i, speaker in enumerate(ordered)}


def arousal_ranks(
    speaker: Sequence[str], label: Sequence[str], intensity: Sequence[str]
) -> NDArray[np.float32]:
    """float32 [N] in 0..1: how excited a take is among those of its speaker, by what was acted."""
    level = np.array(
        [EXCITED[a] + STRONG * (b == "02") for a, b in zip(label, intensity, strict=True)]
    )
    out = np.zeros(len(level), np.float32)
    names = np.asarray(speaker)
    for name in np.unique(names):
        mine = level[names == name]
        # Each emotion counts alike, however many takes it has.
        distinct = np.unique(mine)
        middle = (np.arange(len(distinct)) + 0.5) / len(distinct)
        out[names == name] = middle[np.searchsorted(distinct, mine)]
    return out


def read_takes(path: Path) -> list[Take]:
    """Those that :func:`main` wrote."""
    with path.open(encoding="utf-8", newline="") as file:
        return [Take(**{**row, "fold": int(row["fold"])}) for row in csv.DictReader(file)]


def listened(take: Take) -> dict[str, float | str]:
    """What its sound is like, in numbers."""
    import soundfile

    data = Path(take.path).read_bytes()
    about = soundfile.info(take.path)
    sound = load_take(data)
    begin, end = speech_span(sound)
    power = np.square(sound[: len(sound) // STEP * STEP].reshape(-1, STEP)).mean(axis=1)
    return {
        "sha": hashlib.sha256(sound.tobytes()).hexdigest(),
        "rate": about.samplerate,
        "channels": about.channels,
        "seconds": len(sound) / 16000,
        "speech": (end - begin) / 16000,
        "before": begin / 16000,
        "level": 10 * np.log10(np.square(sound[begin:end]).mean() + 1e-12),
        "floor": 10 * np.log10(np.quantile(power, 0.05) + 1e-12),
        "peak": float(np.abs(sound).max()),
        "zeros": float((sound == 0).mean()),
        "offset": float(sound.mean()),
    }


def table(takes: Sequence[Take], heard: Sequence[Mapping[str, float | str]]) -> str:
    """A row a corpus: medians, and 5 and 95 % of what matters."""
    lines = []
    for corpus in CORPORA:
        rows = [one for take, one in zip(takes, heard, strict=True) if take.corpus == corpus]
        if not rows:
            continue
        mine = [take for take in takes if take.corpus == corpus]
        count = Counter(str(row["sha"]) for row in rows)

        def spread(name: str, rows: list[Mapping[str, float | str]] = rows) -> str:
            values = np.quantile([float(row[name]) for row in rows], [0, 0.05, 0.5, 0.95, 1])
            return " ".join(f"{value:.2f}" for value in values)

        lines += [
            f"{corpus}: {len(rows)} takes, {len({t.speaker for t in mine})} speakers, "
            f"{sum(float(row['seconds']) for row in rows) / 60:.0f} minutes; "
            f"rates {dict(Counter(row['rate'] for row in rows))}, "
            f"channels {dict(Counter(row['channels'] for row in rows))}",
            f"  labels {dict(Counter(t.label for t in mine))}",
            *(
                f"  {name} (least, 5 %, median, 95 %, most): {spread(name)}"
                for name in ("seconds", "speech", "before", "level", "floor", "peak", "zeros")
            ),
            f"  clipped (peak above .99): {sum(float(row['peak']) > 0.99 for row in rows)}; "
            f"offset above .005: {sum(abs(float(row['offset'])) > 0.005 for row in rows)}; "
            f"copies: {len(rows) - len(count)}",
        ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--nemo", type=Path, required=True)
    parser.add_argument("--casia", type=Path, required=True)
    parser.add_argument("--tess", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    found = [
        take for name in CORPORA for take in READERS[name](getattr(arguments, name).resolve())
    ]
    heard = [listened(take) for take in found]
    text = table(found, heard)
    seen: dict[tuple[str, str], Take] = {}
    kept = []
    for take, one in zip(found, heard, strict=True):
        first = seen.setdefault((take.corpus, str(one["sha"])), take)
        if first is take:
            kept.append(take)
        else:
            text += f"\ncopy left out: {take.key} ({take.label}) of {first.key} ({first.label})"
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "corpora.txt").write_text(text + "\n", encoding="utf-8")
    with (
        atomic_path(arguments.out / "takes.csv") as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [field.name for field in fields(Take)])
        writer.writeheader()
        writer.writerows(vars(take) for take in kept)
    print(text)


if __name__ == "__main__":
    main()
