from tests.pointers.conftest import alice, bob, effects

__all__ = ["alice", "bob", "effects"]
