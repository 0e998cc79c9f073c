from tests.pointers.conftest import effects

__all__ = ["effects"]
