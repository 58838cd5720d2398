import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.sources.exposition import ExpositionError, parse, parse_chunks, parse_labels

Sample = tuple[dict[str, str], float, float | None]

_LABEL_NAMES = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
_LABEL_VALUES = st.text(
    st.one_of(st.sampled_from('{}" \\\n,=#'), st.characters(exclude_categories=["Cs", "Cc"])), max_size=12
)
_SAMPLES = st.tuples(
    st.dictionaries(_LABEL_NAMES, _LABEL_VALUES, max_size=4),
    st.floats(),
    st.none() | st.integers(0, 2**42),
)
_NAMES = st.from_regex(r"[a-z_:][a-z0-9_:]{0,12}", fullmatch=True)


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _line(name: str, labels: Mapping[str, str], value: float, millis: int | None) -> str:
    block = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    stamp = "" if millis is None else f" {millis}"
    return f"{name}{{{block}}} {value!r}{stamp}" if labels else f"{name} {value!r}{stamp}"


def _text(families: dict[str, list[Sample]]) -> str:
    return "\n".join(
        f"# HELP {name} Some help.\n# TYPE {name} gauge\n" + "\n".join(_line(name, *sample) for sample in samples)
        for name, samples in families.items()
    )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_NAMES, st.lists(_SAMPLES, min_size=1, max_size=4), min_size=1, max_size=4), st.booleans())
@example({"a": [({"x": 'b} c{ "d" \\n'}, math.inf, 5)], "ab": [({}, -math.inf, None)]}, False)
def test_the_parser_agrees_with_the_reference_parser(families: dict[str, list[Sample]], final_newline: bool) -> None:
    text = _text(families) + ("\n" if final_newline else "")
    ours = parse(text.encode(), frozenset(families))
    peer = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert list(ours) == list(peer)
    for name, samples in peer.items():
        family = ours[name]
        assert [parse_labels(key) for key in family.keys] == [sample.labels for sample in samples]
        for value, stamp, sample in zip(family.values, family.timestamps, samples, strict=True):
            assert _same(value, sample.value)
            assert _same(stamp, math.nan if sample.timestamp is None else sample.timestamp)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_the_parsers_own_error(text: bytes) -> None:
    head = b"# TYPE a gauge\na{"
    for candidate in (text, head + text):
        try:
            for family in parse(candidate, frozenset({"a"})).values():
                for key in family.keys:
                    parse_labels(key)
        except ExpositionError:
            continue


@pytest.mark.parametrize(
    "line",
    [b"a", b"a{} ", b'a{x="1"} high', b'a{x="1"} 1 soon', b'a{x="1"', b"a{}"],
)
def test_a_malformed_line_of_a_wanted_family_is_refused_and_quoted(line: bytes) -> None:
    with pytest.raises(ExpositionError, match="a: cannot read the line"):
        parse(b"# TYPE a gauge\n" + line + b"\n", frozenset({"a"}))


def test_malformed_lines_of_unwanted_families_cost_nothing() -> None:
    samples = parse(b"# TYPE b gauge\nb what\n# TYPE a gauge\na 1\n", frozenset({"a"}))
    assert samples["a"].values.tolist() == [1.0]


@pytest.mark.parametrize("text", [b"<html><body>502 Bad Gateway</body></html>", b"", b"\n", b"a 1\n", b"\xff\x00"])
def test_what_announces_no_family_is_not_taken_for_an_idle_node(text: bytes) -> None:
    with pytest.raises(ExpositionError, match="no metric family"):
        parse(text, frozenset({"a"}))


def test_a_family_whose_name_begins_like_a_wanted_one_is_not_mixed_up_with_it() -> None:
    text = b"# TYPE a histogram\na_bucket 5\na 1\nabc 2\n# TYPE ab gauge\nab 7\n"
    samples = parse(text, frozenset({"a", "ab"}))
    assert samples["a"].values.tolist() == [1.0]
    assert samples["ab"].values.tolist() == [7.0]


def test_an_announced_family_without_samples_is_empty_and_others_are_absent() -> None:
    samples = parse(b"# TYPE a gauge\n# TYPE b gauge\nb 1\n", frozenset({"a", "c"}))
    assert samples["a"].keys == []
    assert samples["a"].values.dtype == np.float64
    assert "c" not in samples


@pytest.mark.parametrize("key", [b"{x}", b'{x="1}', b'{="1"}', b'{1x="1"}', b'{x="a"b}'])
def test_malformed_labels_are_refused(key: bytes) -> None:
    with pytest.raises(ExpositionError, match="cannot read the labels"):
        parse_labels(key)


def test_labels_may_have_spaces_and_a_trailing_comma() -> None:
    assert parse_labels(b'{ a = "1" , b="2", }') == {"a": "1", "b": "2"}


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 60), min_size=1))
def test_text_that_comes_in_pieces_says_what_it_says_as_a_whole(sizes: list[int]) -> None:
    text = b"junk\n" + b"".join(b'# TYPE %b gauge\n%b{x="1"} 5 7000\n' % (name, name) for name in (b"a", b"b", b"c"))
    rest, pieces = text, []
    for size in sizes * len(text):
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    said = parse_chunks(iter(pieces), frozenset({"a", "c"}))
    whole = parse(text, frozenset({"a", "c"}))
    assert list(said) == list(whole) == ["a", "c"]
    for name, family in said.items():
        assert family.keys == whole[name].keys == [b'{x="1"}']
        assert family.values.tolist() == whole[name].values.tolist() == [5.0]
        assert family.timestamps.tolist() == [7.0]
