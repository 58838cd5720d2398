import json
from collections.abc import Iterator
from itertools import count

from exporter.probe.stream import Event, Lost, Paired, Print, Said, parse


def printed(text: str) -> str:
    return json.dumps({"type": "printf", "data": f"{text}\n"})


def events(*lines: str) -> list[Event]:
    ticks: Iterator[int] = count(100)
    return list(parse(lines, lambda: float(next(ticks))))


def test_a_print_holds_its_maps_and_the_time_of_its_first_line() -> None:
    calls = '{"type": "map", "data": {"@calls": {"7,39": 5}}}'
    created = '{"type": "map", "data": {"@created": {"7": 2}}}'
    assert events(printed("print"), calls, "", created, printed("end")) == [
        Print(100.0, {"calls": {"7,39": 5}, "created": {"7": 2}})
    ]


def test_a_print_does_not_keep_the_maps_of_the_one_before() -> None:
    calls = '{"type": "map", "data": {"@calls": {"7,39": 5}}}'
    assert events(printed("print"), calls, printed("end"), printed("print"), printed("end"))[1] == Print(101.0, {})


def test_a_clearing_is_told() -> None:
    assert events(printed("print"), printed("cleared")) == [Print(100.0, {}, cleared=True)]


def test_pairs_are_told() -> None:
    pairs = '{"type": "map", "data": {"@pairs": {"7,513": 5}}}'
    assert events(printed("pairs"), pairs, printed("paired")) == [Paired(100.0, {"7,513": 5})]
    assert events(printed("pairs"), printed("paired")) == [Paired(100.0, {})]


def test_lost_events_are_counted() -> None:
    assert events('{"type": "lost_events", "data": {"events": 42}}') == [Lost(42)]


def test_a_message_for_people_passes_as_text_that_is_not_too_long() -> None:
    assert events("ERROR: no tracepoint", "x" * 100_000) == [Said("ERROR: no tracepoint"), Said("x" * 300)]


def test_a_line_that_was_cut_off_tells_nothing() -> None:
    assert events('{"type": "map", "data": {"@calls": {"7,39": 5, ', "ERROR: why") == [Said("ERROR: why")]


def test_other_messages_and_blank_lines_are_passed_over() -> None:
    assert events("", "  \n", '{"type": "attached_probes", "data": {"probes": 12}}') == []


def test_an_unfinished_print_is_no_print() -> None:
    assert events(printed("print"), '{"type": "map", "data": {"@calls": {"7,39": 5}}}') == []
