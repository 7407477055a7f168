"""The texts below the fields of models."""

from opscheck.core.expectation import Expectation
from opscheck.core.field_docs import field_docs
from opscheck.core.target import Target


class Tank(Expectation, check="tank.level"):
    """The tank is not too full."""

    full: int = 1
    """
    How full it may be.

    In percent.
    """
    _hidden = 2
    """Not a field."""
    bare: int = 3

    class Inner:
        """A class of its own."""

        full: int
        """Of the inner class."""


def test_text_below_a_field_is_its_text():
    assert field_docs(Tank)["full"] == "How full it may be.\n\nIn percent."
    assert "bare" not in field_docs(Tank)
    assert "_hidden" not in field_docs(Tank)


def test_inner_class_has_texts_of_its_own():
    assert field_docs(Tank.Inner) == {"full": "Of the inner class."}


def test_texts_of_inherited_fields_are_there():
    assert field_docs(Tank)["id"] == field_docs(Expectation)["id"]
    assert field_docs(Target)["kind"]


def test_text_of_a_subclass_overrides_the_inherited_one():
    class Deep(Tank, check="tank.deep"):
        """The tank is deep."""

        full: int = 5
        """How deep it is."""

    assert field_docs(Deep)["full"] == "How deep it is."


def test_class_without_source_has_no_texts():
    made = type("Made", (), {"__module__": "no.such.module"})

    assert field_docs(made) == {}
