"""The matrix of section 13 has no gap."""

from tests.billing import matrix


def test_every_line_of_the_matrix_is_covered_by_a_test():
    missing = [f"T-{number:03d}" for number, tests in matrix.covered().items() if not tests]
    assert missing == []
