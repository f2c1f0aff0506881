"""Figures of the face net: what is scored against what, and how sure it is."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))
sys.path.insert(0, str(Path(__file__).parent))

import face_report
import face_scores
import made_up_faces
from face_data import load_all
from face_scores import Opinions

from avaffect.faces.align import AFFWILD2, similarity_transform
from avaffect.files.atomic import write_json


@pytest.fixture(scope="module")
def faces_folder(tmp_path_factory: pytest.TempPathFactory):
    return made_up_faces.write_sets(tmp_path_factory.mktemp("faces"))


@pytest.fixture(scope="module")
def sets(faces_folder):
    return load_all(faces_folder)


def saying(faces, rows, label=None):
    """Opinions that name ``label`` (the pictures' own), and their values."""
    label = faces.labels.label[rows] if label is None else label
    return Opinions(
        np.eye(8, dtype=np.float32)[label],
        faces.values[rows],
        np.zeros((len(rows), 12), np.float32),
    )


def test_who_says_what_the_labels_say_is_right_everywhere(sets) -> None:
    faces = sets["rafdb"]
    rows = faces.rows("train")
    figures = face_scores.figures_of(faces, rows, saying(faces, rows))
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))
    assert {"accuracy", "macro_f1", "valence_ccc", "arousal_ccc"} <= set(figures)


def test_a_set_of_seven_classes_is_not_asked_for_the_eighth(sets) -> None:
    faces = sets["rafdb"]
    rows = faces.rows("train")
    predicted = saying(faces, rows)
    predicted.expression[:, 7] = 9
    assert face_scores.figures_of(faces, rows, predicted)["accuracy"] == 1


def test_pictures_without_a_majority_are_not_scored_by_it(sets) -> None:
    faces = sets["ferplus"]
    label = faces.labels.label.copy()
    label[::2] = -1
    faces = replace(faces, labels=replace(faces.labels, label=label))
    rows = faces.rows("train")
    assert face_scores.figures_of(faces, rows, saying(faces, rows))["accuracy"] == 1


def test_the_interval_holds_the_value_and_is_wider_for_fewer_pictures(sets) -> None:
    faces = sets["rafdb"]
    rows = faces.rows("train")
    predicted = saying(faces, rows, np.zeros(len(rows), int))
    value, low, high = face_scores.with_intervals(faces, rows, predicted)["accuracy"]
    assert low < value < high
    few = Opinions(*(part[:8] for part in vars(predicted).values()))
    narrow = face_scores.with_intervals(faces, rows[:8], few)["accuracy"]
    assert narrow[2] - narrow[1] > high - low


def test_auc_counts_pairs_in_order() -> None:
    high, low = np.array([3.0, 5.0], np.float32), np.array([1.0, 4.0], np.float32)
    assert face_scores.auc(high, low) == 0.75
    assert face_scores.auc(low, high) == 0.25


def test_rates_are_shares_of_each_expression(sets) -> None:
    faces = sets["rafdb"]
    rows = faces.rows("train")
    present = np.zeros((len(rows), 12), bool)
    present[faces.labels.label[rows] == 4, 6] = True
    seen = face_scores.rates(faces, rows, present)
    assert seen["Happiness"]["AU12"] == 1
    assert seen["Sadness"]["AU12"] == 0


def test_units_that_follow_peoples_codes_correlate_with_them() -> None:
    seen = {
        name: {unit: coded[at] for unit, coded in face_report.CODED.items()}
        for at, name in enumerate(face_report.CODED_IN)
    }
    assert set(face_report.beside_coded(seen).values()) == {1.0}
    turned = {name: {unit: -rate for unit, rate in row.items()} for name, row in seen.items()}
    assert set(face_report.beside_coded(turned).values()) == {-1.0}


def test_the_five_points_of_a_crop_come_back() -> None:
    points = AFFWILD2.template_px * np.float32(0.4) + np.float32([3, 7])
    matrix = similarity_transform(points, AFFWILD2.template_px)
    np.testing.assert_allclose(face_report.places(matrix), points, atol=1e-3)


def test_the_replaced_net_says_probabilities_of_the_same_pictures(sets) -> None:
    faces = sets["ferplus"]
    predicted = face_report.old_opinions(faces, faces.rows("train")[:3])
    np.testing.assert_allclose(np.exp(predicted.expression)[:, :7].sum(axis=1), 1, atol=1e-3)


def test_a_report_can_be_written_also_of_a_set_without_values(
    sets, faces_folder, tmp_path: Path
) -> None:
    faces = sets["ferplus"]
    rows = faces.rows("train")
    predicted = replace(saying(faces, rows), values=np.zeros((len(rows), 2), np.float32))
    found = face_report.report_on(faces, rows, predicted, predicted, faces_folder)
    assert found["ccc_with_teachers"] == []
    write_json(tmp_path / "report.json", found)


def test_a_report_has_each_figure_beside_the_replaced_nets(sets, faces_folder) -> None:
    faces = sets["rafdb"]
    rows = faces.rows("train")[:14]
    predicted, old = saying(faces, rows), face_report.old_opinions(faces, rows)
    found = face_report.report_on(faces, rows, predicted, old, faces_folder)
    assert found["net"]["accuracy"][0] == 1
    assert set(found["net"]) == set(found[face_report.OLD])
    assert found["ccc_with_teachers"] == pytest.approx([1, 1])
    assert found["values"]["Anger"]["people"] == [0.1, -0.1]
    assert found["values"]["Anger"]["net"] == pytest.approx(
        faces.values[rows][faces.labels.label[rows] == 1].mean(axis=0), abs=1e-3
    )
