"""The selected index type, by count, dimension and memory."""

import re

import faiss
import pytest

from glimpse.index.building.index_selection import Choice, choices, layers

GB = 1_000_000_000
MUCH = 1_000 * GB
COUNTS = [0, 1, 9, 50, 1_000, 48_000, 100_000, 1_000_000, 20_000_000, 1_000_000_000]
DIMENSIONS = [1, 2, 3, 64, 127, 383, 384, 512, 1_280, 4_096]


def choose(count: int, dimension: int, memory: int) -> Choice:
    """Returns the type that is tried first."""
    return choices(count, dimension, memory)[0]


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("memory", [0, GB, MUCH])
def test_faiss_makes_whatever_is_chosen(dimension: int, memory: int) -> None:
    for count in COUNTS:
        for chosen in choices(count, dimension, memory):
            index = faiss.index_factory(dimension, chosen.factory, faiss.METRIC_INNER_PRODUCT)
            assert index.metric_type == faiss.METRIC_INNER_PRODUCT
            assert chosen.reason


def test_more_vectors_are_compared_in_shorter_codes() -> None:
    kinds = [re.sub(r"\d+", "", choose(count, 512, MUCH).factory) for count in (40_000, 100_000, 1_000_000, 20_000_000)]
    lists = "IVF,PQxfs,Refine(SQfp)"
    assert kinds == ["Flat", "SQ,Refine(SQfp)", lists, lists]


def test_a_graph_comes_where_lists_find_too_little() -> None:
    assert [one.factory for one in choices(1_000_000, 512, MUCH)][1:] == ["HNSW32,SQfp16"]
    assert len(choices(20_000_000, 512, MUCH)) == 1


def test_bits_are_for_little_memory_and_many_coordinates() -> None:
    assert "PQ128x4fs" in choose(20_000_000, 256, MUCH).factory
    assert "RaBitQ" in choose(20_000_000, 256, 8 * GB).factory
    assert "PQ48x4fs" in choose(20_000_000, 96, GB).factory


def test_an_odd_dimension_is_turned_into_an_even_one() -> None:
    assert choose(20_000_000, 97, MUCH).factory.startswith("RR98,IVF")


def test_a_smaller_type_replaces_one_that_does_not_fit() -> None:
    found = [choose(20_000_000, 512, memory) for memory in (MUCH, 20 * GB, 4 * GB, GB)]
    assert [one.factory.split(",", 2)[-1] for one in found] == [
        "Refine(SQfp16)",
        "RaBitQ,Refine(SQ8)",
        "RaBitQ",
        "RaBitQ",
    ]
    assert "better" not in found[0].reason
    assert "20.0 GB" in found[1].reason
    assert "smallest" in found[3].reason


def test_lists_grow_with_the_square_root_up_to_the_training_limit() -> None:
    def lists(count: int) -> int:
        return int(re.findall(r"IVF(\d+)", choose(count, 512, MUCH).factory)[0])

    assert lists(12_000_000) == pytest.approx(2 * lists(3_000_000), abs=1)
    assert lists(1_000_000_000) == lists(100_000_000)


def test_layers_are_listed_outermost_first() -> None:
    index = faiss.index_factory(16, "RR,IVF4,RaBitQ,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    assert [type(layer).__name__ for layer in layers(index)] == ["IndexRefine", "IndexPreTransform", "IndexIVFRaBitQ"]


def test_rescoring_codes_need_room_on_disk_and_in_cache_but_not_in_a_build() -> None:
    # 1,160 bytes a vector in the file, of which a build holds 136, twice while they grow.
    assert choose(10_000_000, 512, 12 * GB).factory.endswith("Refine(SQfp16)")
    assert "RaBitQ" in choose(10_000_000, 512, 11 * GB).factory
