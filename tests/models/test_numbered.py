from avaffect.models.numbered import by_number


def test_numbers_count_as_such() -> None:
    names = ["x_10", "x_2", "x", "2", "Identity_1", "Identity"]
    assert sorted(names, key=by_number) == ["2", "Identity", "Identity_1", "x", "x_2", "x_10"]
