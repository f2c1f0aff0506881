"""The command that a new model is predicted with, by what it reads."""

import pytest

from avaffect.cli.predicting import predict_command


@pytest.mark.parametrize(
    ("needs", "backbones", "says"),
    [
        (["face_pose", "audio", "has_sound"], [], "avaffect predict VIDEO --checkpoint run"),
        (["faces", "has_face"], [], "avaffect predict VIDEO --checkpoint run"),
        (["table"], [], "avaffect predict --checkpoint run --features FOLDER"),
        (
            ["openface", "deep"],
            [],
            "avaffect predict --checkpoint run --features openface=FOLDER --features deep=FOLDER",
        ),
        (
            ["audio", "openface"],
            [],
            "avaffect predict PREPARED --checkpoint run --features openface=FOLDER",
        ),
        (["audio", "dino"], ["dino"], "avaffect predict PREPARED --checkpoint run"),
        (["dino"], ["dino"], "avaffect predict PREPARED --checkpoint run"),
    ],
)
def test_what_it_reads_is_what_it_is_given(needs, backbones, says: str) -> None:
    assert predict_command("run", needs, backbones, video="VIDEO") == says
