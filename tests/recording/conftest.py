from tests.pointers.conftest import bob, effects

__all__ = ["bob", "effects"]
