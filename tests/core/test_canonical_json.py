"""Canonical JSON: spec/money-rails.md 5 and RFC 8785."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settld.core import canonical_json
from settld.core.hashing import artifact_hash, canonical_hash


def test_the_check_value_of_the_specification_hashes_as_written_there():
    value = {"b": [1, True, None], "a": "é\u2028\n/"}
    assert canonical_hash(value) == "24e8217090fbcdcbf37a472b385b6ac6388974b4dc76eee2f358950be17a6d8c"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (0.7, "0.7"),
        (1.0, "1"),
        (2**53 - 1, "9007199254740991"),
        ('\u0001\b\t\n\f\r"\\/', '"\\u0001\\b\\t\\n\\f\\r\\"\\\\/"'),
        ({"\ue000": 1, "\U00010000": 2}, '{"\U00010000":2,"\ue000":1}'),
        ({"10": 1, "9": 2, "a": [], "": {}}, '{"":{},"10":1,"9":2,"a":[]}'),
    ],
)
def test_golden_vectors(value, text):
    assert canonical_json.dumps(value) == text.encode()


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        -0.0,
        2**53,
        -(2**53),
        "\ud800",
        {"\udc00": 1},
        {1: 2},
        object(),
        b"x",
        {1},
    ],
)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(canonical_json.CanonicalJsonError):
        canonical_json.dumps({"nested": [value]})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda x: not (x == 0 and math.copysign(1, x) < 0)
    )
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(JSON)
def test_the_canonical_form_reads_back_as_the_same_value_and_is_its_own_canonical_form(value):
    once = canonical_json.dumps(value)
    assert canonical_json.dumps(json.loads(once, parse_int=_as_read_elsewhere)) == once


def _as_read_elsewhere(digits):
    """A float of any size is legal; written without a fraction it must not come back as an integer."""
    return int(digits) if abs(int(digits)) < 2**53 else float(digits)


@given(st.dictionaries(st.text("abc\u00e9\u4e00", max_size=4), st.integers(-9, 9), max_size=6))
def test_key_order_does_not_matter(value):
    assert canonical_json.dumps(dict(reversed(value.items()))) == canonical_json.dumps(value)


def test_an_artifact_hash_leaves_out_itself_and_the_signature():
    artifact = {"a": 1}
    assert artifact_hash(artifact | {"artifactHash": "x", "signature": {}}) == canonical_hash(artifact)
