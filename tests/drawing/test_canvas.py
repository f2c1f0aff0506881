"""Places for panels, and writing at the edges."""

import numpy as np
import pytest

from avaffect.drawing.canvas import WHITE, Area, Size, freest, sides_of, write

BOX = Area(40, 40, 60, 60)


def test_a_panel_lies_beside_its_face_where_nothing_is() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    places = sides_of(BOX, 50, 30, 2, image)
    assert freest(places, [BOX], None) == 0
    # Something stands on the right, and there is no room on the left.
    assert freest(places, [BOX, Area(70, 30, 90, 60)], None) == 2
    assert freest(places, [BOX], 2) == 2, "without need it stays"
    assert freest(places, [BOX, Area(40, 62, 90, 92)], 2) == 3


@pytest.mark.parametrize("box", [Area(-90, -90, -10, -10), Area(190, 190, 400, 400)])
def test_panels_stay_in_the_picture(box) -> None:
    image = np.zeros((100, 120, 3), np.uint8)
    for place in sides_of(box, 50, 30, 2, image):
        assert 0 <= place.left < place.right <= 120
        assert 0 <= place.top < place.bottom <= 100


@pytest.mark.parametrize("at", [(0, 0), (8, 3), (0, 300), (19, 19), (300, 0), (0, 300)])
def test_writing_is_cut_off_at_the_edges(at: tuple[int, int]) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    write(image, "Happiness", Size(12), *at, WHITE)
    assert (image.max() > 0) == (max(at) < 10)
