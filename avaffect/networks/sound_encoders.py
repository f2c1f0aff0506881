"""Ready-made encoders of sound: torchaudio's bundles, and audio models of ``transformers``.

They give a state every 20 ms or so. A frame's vector lies on the line between the two states next
to it in time. The sound is heard in pieces of `PIECE_S` seconds with `MARGIN_S` more on either
side, so that memory does not grow with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.errors import (
    FeatureError,
    ModelError,
    ModelUnavailableError,
    UnknownNameError,
    UsageError,
)
from avaffect.files.hashing import file_sha256
from avaffect.files.npy import Array, ArraySpec
from avaffect.files.outside import reading
from avaffect.models.fetch import is_offline
from avaffect.networks.half import amp, halved
from avaffect.networks.hub import Weights, hub_model, library, loading

PIECE_S, MARGIN_S = 16.0, 2.0
_LAYERS = re.compile(r"(?:last:)?([1-9][0-9]{0,2})", re.ASCII)
# What a frame needs at least, so that the first convolutions have something to work on.
_LEAST_S = 0.1
States = Callable[[torch.Tensor], Sequence[torch.Tensor]]


@dataclass(frozen=True)
class SoundEncoder:
    """A ready-made encoder of sound at 16 kHz.

    Attributes:
        weights: which.
        states: gives each layer's states [1, T, D] of a sound [1, samples].
        layers: ``N``, the N-th layer, ``last:N``, the mean of the last N; None takes the last.
        size: D.
        device: where it is.
    """

    weights: Weights
    states: States
    layers: str | None
    size: int
    device: torch.device

    @property
    def model(self) -> str:
        """What distinguishes it from every other one."""
        return f"{self.weights.name}:{self.layers or 'last:1'}:{self.weights.sha256}"

    def vectors(self, wav: Path, times: NDArray[np.float64]) -> Iterator[Array]:
        """Vectors of frames, some seconds of them at a time.

        Args:
            wav: 16 kHz mono.
            times: float64 [N], rising: where in the wav each frame is, in seconds.

        Yields:
            float16 [n, D], NaN beyond the end of the sound.

        Raises:
            FeatureError: the wav is missing, or another one than ``preprocess`` writes.
            CheckpointError: the net gives what is no number.
        """
        gone = FeatureError(f"there is no sound '{wav}'", "preprocess the video again")
        hint = "preprocess the video again"
        with (
            reading(wav, FeatureError, "cannot be read", hint, missing=gone),
            soundfile.SoundFile(wav) as file,
        ):
            if (file.channels, file.samplerate) != (1, SAMPLE_RATE):
                raise FeatureError(f"'{wav}' is not 16 kHz mono", "preprocess the video again")
            end_s = len(file) / SAMPLE_RATE
            at = 0
            while at < len(times):
                first = float(times[at])
                # A frame more at least, also where times stand still or jump.
                stop = max(at + 1, int(np.searchsorted(times, first + PIECE_S)))
                stop = min(stop, at + 4096)
                rows = times[at:stop]
                out = ArraySpec((self.size,), "float16").missing(len(rows))
                there = (rows >= 0) & (rows <= end_s)
                if there.any():
                    out[there] = self._heard(file, rows[there], end_s)
                yield out
                at = stop

    def _heard(self, file: soundfile.SoundFile, times: NDArray[np.float64], end_s: float) -> Array:
        begin_s = max(0.0, min(times[0] - MARGIN_S, end_s - _LEAST_S))
        begin = round(begin_s * SAMPLE_RATE)
        file.seek(begin)
        count = round((times[-1] + MARGIN_S) * SAMPLE_RATE) - begin
        sound = file.read(max(1, count), dtype="float32")
        sound = np.pad(sound, (0, max(0, round(_LEAST_S * SAMPLE_RATE) - len(sound))))
        with torch.inference_mode(), amp(self.device):
            layers = self.states(torch.from_numpy(sound)[None].to(self.device))
            states = chosen(layers, self.layers)[0].float()
        # A state stands for an equal share of the sound.
        step = len(sound) / SAMPLE_RATE / len(states)
        places = torch.from_numpy((times - begin / SAMPLE_RATE) / step - 0.5)
        places = places.clamp(0, len(states) - 1).to(states.device)
        low = places.floor().long()
        high = (low + 1).clamp(max=len(states) - 1)
        share = (places - low)[:, None].float()
        return halved(states[low] * (1 - share) + states[high] * share, self.weights.name)


def chosen(layers: Sequence[torch.Tensor], which: str | None) -> torch.Tensor:
    """The layer, or the mean of the last ones, that ``which`` asks for.

    Raises:
        UsageError: there are not so many.
    """
    count = parse_layers(which)
    if count > len(layers):
        raise UsageError(
            f"there is no layer {count}: the encoder has {len(layers)}",
            f'choose layers="1" to layers="{len(layers)}", or layers="last:4"',
        )
    if which is None or which.startswith("last:"):
        return torch.stack(tuple(layers[-count:])).mean(0)
    return layers[count - 1]


def parse_layers(which: str | None) -> int:
    """The number in ``N`` or ``last:N``; 1 of None.

    Raises:
        UsageError: it is neither.
    """
    found = _LAYERS.fullmatch("last:1" if which is None else which)
    if found is None:
        raise UsageError(f"'{which}' is no layer", 'write layers="9", or layers="last:4"')
    return int(found[1])


def torchaudio_encoder(name: str, device: torch.device, layers: str | None) -> SoundEncoder:
    """A bundle of torchaudio.

    Args:
        name: such as ``WAV2VEC2_BASE``, ``HUBERT_BASE``, ``WAVLM_LARGE``.
        device: where to compute.
        layers: see :class:`SoundEncoder`.

    Raises:
        UnknownNameError: there is no such bundle.
        ModelError: its weights are not to be had.
    """
    pipelines = library("torchaudio.pipelines")
    known = [
        key for key in dir(pipelines) if isinstance(getattr(pipelines, key), _bundles(pipelines))
    ]
    if name not in known:
        raise UnknownNameError("bundle of torchaudio", name, known)
    whole, bundle = f"torchaudio:{name}", getattr(pipelines, name)
    with loading(whole):
        file = Path(torch.hub.get_dir(), "checkpoints", Path(bundle._path).name)
        if is_offline() and not file.is_file():
            raise ModelUnavailableError(
                f"the weights of '{whole}' are not in '{file.parent}'",
                "AVAFFECT_OFFLINE forbids to fetch them: run once without it",
            )
        net = bundle.get_model(dl_kwargs={"weights_only": True, "progress": False})
        net = net.eval().to(device)
        # Their licences stand in torchaudio's documentation of each bundle.
        weights = Weights(whole, file_sha256(file))

    def states(sound: torch.Tensor) -> Sequence[torch.Tensor]:
        found: Sequence[torch.Tensor] = net.extract_features(sound)[0]
        return found

    return _encoder(weights, states, layers, device)


def hf_sound_encoder(place: str, device: torch.device, layers: str | None) -> SoundEncoder:
    """An audio model of transformers that hears waves, as wav2vec 2.0, HuBERT and WavLM do.

    Args:
        place: a repository at Hugging Face, or a folder of that form.
        device: where to compute.
        layers: see :class:`SoundEncoder`.

    Raises:
        MissingPackageError: transformers is not installed.
        ModelError: no such model, one without safetensors, or none that hears waves.
    """
    with loading(f"hf:{place}"):
        net, folder, weights = hub_model(place)
        net = net.eval().to(device)
        normal = _normalises(folder)

    def states(sound: torch.Tensor) -> Sequence[torch.Tensor]:
        if normal:
            sound = (sound - sound.mean()) / (sound.var(correction=0) + 1e-7).sqrt()
        found = net(input_values=sound, output_hidden_states=True).hidden_states
        # The first are those that go into the layers.
        return tuple(found[1:])

    return _encoder(weights, states, layers, device)


def hears_waves(folder: Path) -> bool:
    """Whether the model in a folder of Hugging Face's form takes sound."""
    from avaffect.files.outside import read_json

    return "conv_kernel" in read_json(folder / "config.json", dict, ModelError)


def _normalises(folder: Path) -> bool:
    from avaffect.files.outside import read_json

    path = folder / "preprocessor_config.json"
    facts = read_json(path, dict, ModelError) if path.is_file() else {}
    if (rate := facts.get("sampling_rate", SAMPLE_RATE)) != SAMPLE_RATE:
        raise ModelError(f"it hears sound at {rate} Hz", "choose one for 16000 Hz")
    return bool(facts.get("do_normalize", True))


def _encoder(
    weights: Weights, states: States, layers: str | None, device: torch.device
) -> SoundEncoder:
    with loading(weights.name), torch.inference_mode():
        found = states(torch.zeros(1, SAMPLE_RATE, device=device))
        size = int(chosen(found, layers).shape[-1])
    return SoundEncoder(weights, states, layers, size, device)


def _bundles(pipelines: Any) -> type:
    kind: type = pipelines.Wav2Vec2Bundle
    return kind
