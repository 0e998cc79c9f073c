from __future__ import annotations

from fedzmq.recording.fitting import fitting


def test_sizes_that_are_told_twice_do_not_make_a_rule_likelier() -> None:
    sizes = [7, 11, 33, 90, 1] * 3

    assert fitting([each * 27 // 13 for each in sizes], sizes) is None
