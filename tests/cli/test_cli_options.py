import click
import pytest

from avaffect.cli import options
from avaffect.cli.ensemble import ensemble
from avaffect.cli.features import features
from avaffect.cli.options import NameChoice, analysis_config
from avaffect.cli.predict import predict
from avaffect.cli.preprocess import preprocess
from avaffect.cli.train import train
from avaffect.config import CLOCKS, AnalysisConfig, FaceConfig, MediaConfig, PredictConfig
from avaffect.errors import UnknownNameError


def choices(command, name):
    (found,) = [option for option in command.params if option.name == name]
    return tuple(found.type.choices)


@pytest.mark.parametrize("command", [predict, preprocess, train, ensemble, features])
def test_words_for_a_device(command) -> None:
    (option,) = [option for option in command.params if option.name == "device"]
    for word in ("auto", "cpu", "cuda", "gpu", "cuda:1", "gpu:12"):
        assert option.type.convert(word, option, None) == word
    for word in ("cudo", "cuda:", "cuda:-1", "cuda:x", "cpu:1", "mps", "CUDA", "cuda:99999", ""):
        with pytest.raises(UnknownNameError, match="no device is called"):
            option.type.convert(word, option, None)


def default(command, name):
    (found,) = [option for option in command.params if option.name == name]
    return found.default


def test_choices_are_the_librarys() -> None:
    from avaffect.challenge.editions import EDITIONS
    from avaffect.converting.forms.registry import FORMS
    from avaffect.faces.detectors.registry import DETECTORS
    from avaffect.faces.encoders import ENCODERS, FRAME_MODELS
    from avaffect.predicting.writers.registry import WRITERS
    from avaffect.predictions.missing import POLICIES

    assert set(choices(preprocess, "encoders")) == set(ENCODERS)
    assert set(choices(predict, "frame_model")) == {"auto", *FRAME_MODELS}
    assert set(choices(predict, "missing")) == set(POLICIES)
    assert set(choices(predict, "clock")) == set(CLOCKS)
    assert set(choices(predict, "edition")) == set(EDITIONS)
    assert set(choices(predict, "form")) == {*WRITERS, *FORMS}
    for command in (predict, preprocess):
        assert set(choices(command, "detector")) == set(DETECTORS)


def test_every_choice_is_valid_in_the_settings() -> None:
    for aligner in choices(predict, "aligner"):
        for subjects in choices(predict, "subjects"):
            FaceConfig(aligner=aligner, subjects=subjects)


def test_defaults_are_the_librarys() -> None:
    from avaffect.challenge.editions import DEFAULT_EDITION
    from avaffect.predicting.settings import with_features
    from avaffect.predictions.missing import DEFAULT_POLICY
    from avaffect.predictors.build import PREDICTORS

    config = PredictConfig()
    assert default(predict, "model") == config.model
    assert config.model in PREDICTORS
    assert default(predict, "frame_model") == config.frame_model
    assert default(predict, "missing") == config.missing == DEFAULT_POLICY
    assert default(predict, "smooth") == config.smooth
    assert default(predict, "clock") == config.clock
    assert default(predict, "edition") == DEFAULT_EDITION
    full = with_features(config, "full").analysis
    assert full.encoders == AnalysisConfig().encoders


@pytest.mark.parametrize("command", [predict, preprocess])
def test_options_without_arguments_give_the_default_settings(command) -> None:
    with command.make_context("x", ["video.mp4"]) as context:
        config = analysis_config(context.params)
    assert config == AnalysisConfig()


def test_options_arrive_in_the_settings() -> None:
    arguments = ["v.mp4", "--detector", "centerface", "--detect-every", "3", "--aligner", "fan",
                 "--subjects", "all", "--crop-size", "64", "--video-stream", "1",
                 "--audio-stream", "2", "--channel", "3", "--fps", "50",
                 "--rotate", "90"]  # fmt: skip
    with preprocess.make_context("x", arguments) as context:
        config = analysis_config(context.params, encoders=())
    assert config.faces == FaceConfig(
        "centerface", detect_every=3, aligner="fan", subjects="all", crop_size=64
    )
    assert config.media == MediaConfig(
        video_stream=1, audio_stream=2, channel=3, fps=50, rotate=90
    )
    assert config.encoders == ()


def test_every_option_has_a_help_text() -> None:
    for command in (predict, preprocess):
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, option.name


def test_unknown_name_is_suggested() -> None:
    choice = NameChoice(options.DETECTORS, "detector")
    assert choice.convert("s3fd", None, None) == "s3fd"
    with pytest.raises(UnknownNameError, match="no detector is called 'centreface': did you mean"):
        choice.convert("centreface", None, None)
