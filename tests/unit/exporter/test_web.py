import gzip

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from exporter.publish.web import Views, create_app


class Document(BaseModel):
    window: float


@pytest.fixture
def pages() -> list[bytes]:
    return []


@pytest.fixture
def client(pages: list[bytes]) -> FlaskClient:
    views = Views(
        metrics=lambda: pages[-1] if pages else b"",
        profiles=lambda: [{"name": "web", "container_id": "a" * 64}],
        profile=lambda cid, window: Document(window=window) if cid == "a" * 64 else None,
    )
    return create_app('<node> & "co"', views).test_client()


def test_the_exporter_is_ready_only_after_its_first_cycle(client: FlaskClient, pages: list[bytes]) -> None:
    assert client.get("/-/healthy").status_code == 200
    assert client.get("/-/ready").status_code == 503
    pages.append(gzip.compress(b"# TYPE cpp_containers gauge\ncpp_containers 1\n"))
    assert client.get("/-/ready").status_code == 200


def test_before_the_first_cycle_metrics_tell_of_the_process(client: FlaskClient) -> None:
    assert "process_resident_memory_bytes" in client.get("/metrics").text


def test_metrics_are_the_newest_page(client: FlaskClient, pages: list[bytes]) -> None:
    for containers in (1, 2):
        pages.append(gzip.compress(b"# TYPE cpp_containers gauge\ncpp_containers %d\n" % containers))
        answer = client.get("/metrics")
        families = {family.name: family.samples for family in text_string_to_metric_families(answer.text)}
        assert families["cpp_containers"][0].value == containers
        assert answer.content_type.startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("accepts", ["gzip", "deflate, gzip;q=0.5", "*"])
def test_who_takes_gzip_gets_the_page_as_it_is_held(client: FlaskClient, pages: list[bytes], accepts: str) -> None:
    pages.append(gzip.compress(b"# TYPE cpp_containers gauge\ncpp_containers 1\n" * 9000))
    packed = client.get("/metrics", headers={"Accept-Encoding": accepts})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.data == pages[-1]


@pytest.mark.parametrize("accepts", ["", "identity", "gzip;q=0", "br"])
def test_who_does_not_take_gzip_gets_the_text(client: FlaskClient, pages: list[bytes], accepts: str) -> None:
    pages.append(gzip.compress(b"# TYPE cpp_containers gauge\ncpp_containers 1\n" * 9000))
    plain = client.get("/metrics", headers={"Accept-Encoding": accepts})
    assert "Content-Encoding" not in plain.headers
    assert plain.data == gzip.decompress(pages[-1])
    assert plain.headers["Vary"] == "Accept-Encoding"


def test_the_page_for_people_names_the_node_and_links_on(client: FlaskClient) -> None:
    text = client.get("/").text
    assert "&lt;node&gt; &amp; &#34;co&#34;" in text or "&lt;node&gt; &amp; &quot;co&quot;" in text
    for link in ("/metrics", "/profiles"):
        assert f'href="{link}"' in text


def test_profiles_are_listed_and_one_is_shown_for_the_window_asked_for(client: FlaskClient) -> None:
    assert client.get("/profiles").json == [{"name": "web", "container_id": "a" * 64}]
    assert client.get(f"/profiles/{'a' * 64}").json == {"window": 3600.0}
    assert client.get(f"/profiles/{'a' * 64}?window=5m").json == {"window": 300.0}


@pytest.mark.parametrize("window", ["soon", "-5m", "", "5"])
def test_a_window_that_is_no_duration_is_refused_with_the_reason(client: FlaskClient, window: str) -> None:
    answer = client.get(f"/profiles/{'a' * 64}?window={window}")
    assert answer.status_code == 400
    assert "is not a duration" in answer.get_json()["error"]


def test_an_unknown_container_is_not_found_and_the_answer_says_where_to_look(client: FlaskClient) -> None:
    answer = client.get("/profiles/nobody")
    assert answer.status_code == 404
    assert "/profiles" in answer.get_json()["error"]


def test_what_only_reads_refuses_to_be_written(client: FlaskClient) -> None:
    assert client.post("/metrics").status_code == 405
