import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from avaffect.config import AnalysisConfig, AudioConfig, PredictConfig
from avaffect.errors import FeatureError, NotMediaError, UnknownNameError, UsageError
from avaffect.faces.holding import MOST_HELD
from avaffect.files import hashing
from avaffect.media import probe as probes
from avaffect.media.source import open_source
from avaffect.predicting.batch import PredictBatch
from avaffect.predicting.run import predict, predict_video
from avaffect.predicting.settings import with_features
from avaffect.predictors.build import build_predictor
from avaffect.predictors.starter.starter1 import Starter1
from avaffect.preprocessing import video_pass as analyse
from avaffect.preprocessing.run import NetsLoader, Preprocessed, preprocess
from avaffect.progress import Notice
from avaffect.sound.mfcc import by_torchaudio
from avaffect.store.prepared import Prepared
from avaffect.store.record import Record
from avaffect.store.subject import GEOMETRY, SubjectFeatures

LIGHT = AnalysisConfig(encoders=("starter-2-face",))
FRAMES = 40
FACELESS = slice(14, 24)


def assert_same(first, second):
    assert [prediction.subject for prediction in first.predictions] == [
        prediction.subject for prediction in second.predictions
    ]
    for prediction, other in zip(first.predictions, second.predictions, strict=True):
        for name in ("times", "present", "filled", "heard", "confidence", "va", "va_interval",
                     "expr", "au", "au_intensity"):  # fmt: skip
            np.testing.assert_array_equal(
                getattr(prediction, name), getattr(other, name), err_msg=name
            )


@pytest.fixture(scope="module")
def result(gap_clip: Path):
    """The gap clip, predicted in one go as a user of the library would."""
    from avaffect import predict

    return predict(gap_clip)


def test_the_library_in_three_lines(sample) -> None:
    from avaffect import predict

    result = predict(str(sample("no_face.mp4")), task="va")
    frame = result.to_frame()
    assert result["no_face"].va.shape == (50, 2)
    assert result["no_face"].expr is None
    assert list(frame["frame"]) == list(range(1, 51))
    assert set(frame["subject"]) == {"no_face"}
    assert result.found == 0
    assert frame["valence"].isna().all()


def test_settings_by_keyword_are_those_of_a_configuration(whole: Preprocessed) -> None:
    from avaffect import PredictConfig, predict

    folder = whole.folder.root
    config = PredictConfig(missing="invalid", smooth="box:1")
    by_config = predict(folder, "va", config=config)
    by_keyword = predict(folder, "va", missing="invalid", smooth="box:1")
    assert by_keyword == by_config
    # A keyword takes the place of the configuration's own, and of nothing else.
    changed = predict(folder, "va", config=config, smooth="off")
    assert changed != by_config
    assert changed == predict(folder, "va", config=replace(config, smooth="off"))
    with pytest.raises(UnknownNameError, match="no policy"):
        predict(folder, missing="nowhere")


def test_subjects_by_keyword(gap_clip: Path) -> None:
    from avaffect import predict

    everyone = predict(gap_clip, "va", subjects="all")
    assert everyone.about["configuration"]["analysis"]["faces"]["subjects"] == "all"


@pytest.mark.parametrize("wrong", [{"missing": "nowhere"}, {"smooth": "box"}, {"model": "x"}])
def test_wrong_settings_are_refused_before_the_video_is_read(
    wrong, gap_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avaffect import predict

    monkeypatch.setattr("avaffect.predicting.run.predict_video", None)
    with pytest.raises(UsageError):
        predict(gap_clip, **wrong)


def test_a_result_is_a_line(result, gap_clip: Path) -> None:
    assert repr(result) == (
        f"Result('{gap_clip}', {FRAMES} frames, {FRAMES - 10} with a face, subjects gap)"
    )


def test_result_has_arrays_and_a_data_frame(result) -> None:
    prediction = result["gap"]
    assert (result.frames, result.found) == (FRAMES, FRAMES - 10)
    assert (prediction.va.shape, prediction.va.dtype) == ((FRAMES, 2), np.float32)
    assert (prediction.expr.shape, prediction.au.shape) == ((FRAMES, 8), (FRAMES, 12))
    frame = result.to_frame()
    np.testing.assert_array_equal(frame["valence"], prediction.va[:, 0])
    np.testing.assert_array_equal(frame["AU12_p"], prediction.au[:, 6])
    assert frame["present"].sum() == FRAMES - 10
    with pytest.raises(KeyError):
        result["nobody"]


def test_result_says_what_it_is(result, gap_clip: Path) -> None:
    assert "not trained on Aff-Wild2" in " ".join(result.notes)
    assert result.about["video"]["name"] == gap_clip.name
    assert result.about["frames"] == FRAMES
    assert result.about["model"] == "starter-2"
    assert result.about["configuration"]["missing"] == "linear"
    assert result.about["device"] in ("cpu", "cuda")
    assert result.about["versions"]["imageio-ffmpeg"]
    assert result.about["models"].keys() == {
        "blazeface-back", "blazeface-full", "face-landmarker", "silero-vad", "starter-2-face",
        "starter-2-voice"
    }  # fmt: skip


def test_in_frames_without_a_face_the_voice_is_heard(result) -> None:
    prediction = result["gap"]
    assert not prediction.present[FACELESS].any()
    assert prediction.heard[FACELESS].all()
    assert np.isfinite(prediction.va).all()
    # Units are nothing that could be heard: only the text files hold made-up ones.
    assert np.isnan(prediction.au[FACELESS]).all()
    assert prediction.filled[FACELESS].all()
    (text,) = result.written
    assert np.isfinite(text.au).all()
    assert result.valued == FRAMES


def test_the_smoothing_is_that_of_the_model_unless_another_is_asked_for(
    result, heard: Preprocessed
) -> None:
    from avaffect import predict

    assert result.about["configuration"]["smooth"] == "auto"
    assert result.about["smoothing"] == Starter1.smooth
    steps = {}
    for smooth in ("auto", "gaussian:0.5", "off", "box:1"):
        again = predict(heard.folder.root, config=PredictConfig(smooth=smooth))
        assert again.about["smoothing"] == (Starter1.smooth if smooth == "auto" else smooth)
        steps[smooth] = np.abs(np.diff(again["gap"].va, axis=0)).sum()
    assert steps["off"] > steps["auto"] == steps["gaussian:0.5"] > steps["box:1"]


def test_missing_frames_are_filled_by_the_policy_in_text_alone(whole: Preprocessed) -> None:
    from avaffect import predict

    config = PredictConfig(smooth="off")
    result = predict(whole.folder.root, config=config)
    linear, (text,) = result["gap"], result.written
    assert linear.filled[FACELESS].all()
    assert linear.filled.sum() == 10
    assert np.isfinite(text.va).all()
    frame = result.to_frame()
    values = frame.drop(columns=["frame", "time", "present", "heard", "filled", "subject"])
    assert values[~frame["present"]].isna().all(axis=None)
    assert values[frame["present"]].notna().all(axis=None)
    invalid = predict(whole.folder.root, config=replace(config, missing="invalid"))
    assert not invalid["gap"].filled.any()
    for prediction in (invalid["gap"], *invalid.written):
        np.testing.assert_array_equal(prediction.va, linear.va)


def test_from_the_folder_the_same_as_from_the_video(result, heard: Preprocessed) -> None:
    from avaffect import predict

    again = predict(heard.folder.root)
    assert_same(again, result)
    assert again.found == result.found
    assert again.about["video"] == result.about["video"]


def test_only_the_asked_tasks_are_predicted(whole: Preprocessed) -> None:
    from avaffect import predict

    prediction = predict(whole.folder.root, task="expr,va")["gap"]
    assert prediction.tasks == ("va", "expr")
    assert "AU12" not in prediction.columns()


def test_folder_without_what_the_model_reads(
    gap_clip: Path, nets: NetsLoader, whole: Preprocessed, tmp_path: Path
) -> None:
    from avaffect import predict

    config = PredictConfig(frame_model="mbf_va_mtl")
    with pytest.raises(FeatureError, match="lack mbf_va_mtl") as caught:
        predict(whole.folder.root, config=config)
    assert 'encoders=("mbf_va_mtl",)' in caught.value.hint
    with pytest.raises(NotMediaError, match="is a folder"):
        predict(tmp_path)


def test_interrupted_pass_goes_on_to_the_same_result(
    result,
    gap_clip: Path,
    nets: NetsLoader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt_at,
    tracked,
) -> None:
    monkeypatch.setattr(analyse, "CHECKPOINT_EVERY", 8)
    monkeypatch.setattr(analyse, "REPORT_EVERY", 1)
    config = with_features(PredictConfig())
    predictor = build_predictor(PredictConfig())
    with pytest.raises(KeyboardInterrupt):
        predict_video(open_source(gap_clip), config, predictor, nets, tmp_path,
                      on_event=interrupt_at(tmp_path, 34, 0))  # fmt: skip
    del tracked[:]
    again = predict_video(open_source(gap_clip), config, predictor, nets, tmp_path)
    # Behind the last frame in which no face was held.
    assert 34 - MOST_HELD <= tracked[0] <= 34
    assert tracked == list(range(tracked[0], FRAMES))
    assert_same(again, result)


def test_features_can_be_kept_as_preprocess_would(
    result, heard: Preprocessed, gap_clip: Path, nets: NetsLoader, tmp_path: Path
) -> None:
    light = with_features(PredictConfig())
    config = replace(light, analysis=replace(light.analysis, audio=AudioConfig()))
    store = Prepared(tmp_path / "kept")
    predictor = build_predictor(config)
    kept = predict_video(
        open_source(gap_clip), config, predictor, nets, tmp_path / "work", store=store
    )
    assert_same(kept, result)
    mine = SubjectFeatures.open(store.features("gap"))
    theirs = SubjectFeatures.open(heard.folder.features("gap"))
    assert mine.keys == theirs.keys
    for name in theirs.names:
        np.testing.assert_array_equal(mine.array(name), theirs.array(name), err_msg=name)
    assert mine.table().equals(theirs.table())
    # Preprocess adds what is not there, and no net is needed for it.
    assert preprocess(gap_clip, store.root, config.analysis).done == ("audio", "crops")
    assert store.wav.read_bytes() == heard.folder.wav.read_bytes()


def test_damaged_video_is_used_as_far_as_it_goes_and_says_so(
    gap_clip: Path, nets: NetsLoader, tmp_path: Path
) -> None:
    data = bytearray(gap_clip.read_bytes())
    middle = data.index(b"mdat") + 4 + len(data) // 2
    data[middle : middle + 400] = bytes(400)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data)
    events = []
    config = with_features(PredictConfig())
    predictor = build_predictor(config)
    result = predict_video(open_source(broken), config, predictor, nets, tmp_path / "work",
                           on_event=events.append)  # fmt: skip
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.warning
    assert "'broken.mp4' is damaged" in notice.text
    assert 0 < result.frames <= FRAMES
    assert result.about["damage"]["decoding_errors"] > 0
    assert result.about["frames"] == result.frames == len(result["broken"].va)


def test_unknown_names_are_refused_before_any_work() -> None:
    from avaffect import predict

    nowhere = Path("/nowhere.mp4")
    for config in (PredictConfig(model="starter"), PredictConfig(frame_model="ferr")):
        with pytest.raises(UnknownNameError, match="did you mean"):
            predict(nowhere, config=config)


def test_the_table_says_where_the_face_is(result, heard: Preprocessed) -> None:
    """Those of the frame table, so that anybody can check who was followed."""
    frame = result.to_frame()
    stored = SubjectFeatures.open(heard.folder.features("gap")).table()
    names = [name for name in stored if name in ("frame", "time", "present", *GEOMETRY)]
    for name in names:
        column = f"box_{name}" if name in ("left", "top", "right", "bottom") else name
        np.testing.assert_array_equal(frame[column], stored[name], err_msg=name)
    box = frame.loc[frame["present"], ["box_left", "box_top", "box_right", "box_bottom"]]
    assert (box["box_left"] < box["box_right"]).all() and (
        box["box_top"] < box["box_bottom"]
    ).all()
    assert frame.loc[~frame["present"], "box_left":"roll"].isna().all(axis=None)


@pytest.fixture(scope="module")
def late_clip(gap_clip: Path, ffmpeg, tmp_path_factory: pytest.TempPathFactory):
    """The first 10 frames of the gap clip, the first one at 1.5 s; sound from 0 on."""
    path = tmp_path_factory.mktemp("late") / "late.mkv"
    ffmpeg("-itsoffset", "1.5", "-i", gap_clip, "-f", "lavfi", "-i", "sine=duration=2",
           "-map", "0:v", "-map", "1:a", "-frames:v", "10", path)  # fmt: skip
    return path


def test_times_count_from_the_first_frame_or_from_the_zero_of_the_file(
    late_clip, nets: NetsLoader, tmp_path: Path
) -> None:
    from avaffect import predict

    config = PredictConfig(clock="media")
    first = predict(late_clip, "va")
    media = predict(late_clip, "va", config=config)
    assert first.times[0] == 0
    assert media.times[0] == pytest.approx(1.5, abs=0.05)
    np.testing.assert_allclose(media.times - media.times[0], first.times, atol=1e-9)
    assert media.to_frame()["time"].tolist() == media.times.tolist()
    facts = first.about["media"]
    assert facts["first_time_s"] == media.times[0]
    assert facts["fps"] == pytest.approx(25, abs=0.1)
    assert (facts["width"], facts["height"]) == (240, 240)
    assert (first.about["clock"], media.about["clock"]) == ("frame", "media")
    # Text and values are the same on both.
    np.testing.assert_array_equal(media["late"].va, first["late"].va)
    # From a folder too.
    folder = preprocess(late_clip, tmp_path, LIGHT, nets=nets).folder
    from_folder = predict(folder.root, "va", config=config)
    assert from_folder.times.tolist() == media.times.tolist()
    assert from_folder.about["media"] == facts


def test_a_folder_of_an_earlier_version_may_not_know_the_zero(
    late_clip, nets: NetsLoader, tmp_path: Path
) -> None:
    from avaffect import predict

    folder = preprocess(late_clip, tmp_path, LIGHT, nets=nets).folder
    record = folder.record.to_dict()
    media = PredictConfig(clock="media")
    older = {key: value for key, value in record.items() if key != "media"}
    folder.write(Record.model_validate(older))  # it noted the first time alone
    assert predict(folder.root, "va", config=media).times[0] == record["first_time_s"]
    del older["first_time_s"]
    folder.write(Record.model_validate(older))
    assert predict(folder.root, "va").times[0] == 0
    with pytest.raises(FeatureError, match="when the first frame is") as caught:
        predict(folder.root, "va", config=media)
    assert "preprocess" in caught.value.hint
    # As the hint says; nothing is looked at again.
    assert preprocess(late_clip, tmp_path, LIGHT, nets=nets).done == ()
    assert Prepared(folder.root).record.to_dict()["media"] == record["media"]


def test_a_clock_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="'frame' or 'media'"):
        PredictConfig(clock="wall")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch):
    """How often files are opened by PyAV, probed and hashed: by name and what was done."""
    found = Counter()

    def counted(owner, name, what, of):
        call = getattr(owner, name)

        def count(*arguments, **options):
            found[Path(of(*arguments)).name, what] += 1
            return call(*arguments, **options)

        monkeypatch.setattr(owner, name, count)

    # ffmpeg's pipes and what avaffect wrote itself are named otherwise than the file.
    counted(av, "open", "open", lambda file, *_: str(getattr(file, "name", file)))
    counted(probes, "_video_info", "probe", lambda container, stream, path, *_: path)
    counted(hashlib, "file_digest", "hash", lambda file, *_: file.name)
    monkeypatch.setattr(hashing, "_known", {})
    return found


@pytest.mark.parametrize("by", ["function", "batch", "batch for pictures"])
def test_a_video_is_probed_and_hashed_once(by: str, gap_clip: Path, tmp_path: Path, reads) -> None:
    """Three openings more: for the picture, for the first sound, and for the sound."""
    config = with_features(PredictConfig())
    if by == "function":
        predict(gap_clip, config=config)
    else:
        with PredictBatch(tmp_path, config) as batch:
            if by == "batch for pictures":  # which go by way of a preprocessed folder
                batch.predictor.needs += ("faces",)
            assert not batch(gap_clip).sound_only
    mine = {what: count for (name, what), count in reads.items() if name == gap_clip.name}
    assert mine == {"open": 4, "probe": 1, "hash": 1}


def test_a_sound_file_is_hashed_once_and_not_probed(
    gap_clip: Path, ffmpeg, tmp_path: Path, reads
) -> None:
    """Three openings more: two find the first sound, one reads the sound."""
    voice = tmp_path / "voice.wav"
    ffmpeg("-i", gap_clip, voice)
    with PredictBatch(tmp_path / "out", with_features(PredictConfig())) as batch:
        assert batch(voice).sound_only
        mine = {what: count for (name, what), count in reads.items() if name == voice.name}
        assert mine == {"open": 4, "hash": 1}
        # What is there is known by its hash.
        assert batch(voice).again
        assert (reads[voice.name, "open"], reads[voice.name, "hash"]) == (5, 1)


def test_sound_features_are_made_on_the_device(
    result, gap_clip: Path, nets: NetsLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `preprocess` makes them: by torchaudio where there is a GPU."""
    used: list[str] = []

    def on_cpu(config: AudioConfig, length: int, n_fft: int, device: str) -> Any:
        used.append(device)
        return by_torchaudio(config, length, n_fft, "cpu")

    monkeypatch.setattr("avaffect.sound.mfcc.by_torchaudio", on_cpu)
    monkeypatch.setattr(nets, "device", "cuda:1")
    light = with_features(PredictConfig())
    config = replace(light, analysis=replace(light.analysis, audio=AudioConfig()))
    predictor = build_predictor(config)
    assert_same(predict_video(open_source(gap_clip), config, predictor, nets, tmp_path), result)
    assert used == ["cuda:1"]
