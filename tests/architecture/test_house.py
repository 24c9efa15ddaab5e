"""A house in which one finds things: no folder, file or function grows out of sight. `house.py` prints the table."""

from __future__ import annotations

from tests.architecture.house import (
    ROOT,
    class_names_twice,
    longest_function,
    longest_module,
    longest_test,
    rooms,
    small_with_one_importer,
)

LOOSE, MODULE, TEST, FUNCTION = 25, 300, 450, 75
SMALL, TWICE = 12, 3


def test_no_folder_holds_more_loose_modules_than_one_can_look_over() -> None:
    crowded = {str(folder.relative_to(ROOT)): len(inside) for folder, inside in rooms().items() if len(inside) > LOOSE}

    assert not crowded


def test_small_modules_with_one_importer_are_parts_of_it() -> None:
    assert len(small_with_one_importer()) <= SMALL, small_with_one_importer()


def test_public_classes_have_names_of_their_own() -> None:
    assert len(class_names_twice()) <= TWICE, class_names_twice()


def test_no_module_is_too_long_to_read() -> None:
    assert longest_module().lines <= MODULE, longest_module().name
    assert longest_test()[1] <= TEST, longest_test()[0]


def test_no_function_is_too_long_to_look_at() -> None:
    name, lines = longest_function()

    assert lines <= FUNCTION, name
