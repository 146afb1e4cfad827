"""The search for layers that must stay in float, and the processor's instructions."""

from pathlib import Path

import pytest

from glimpse.export.precision.cpu_features import int8_instructions, saturates
from glimpse.export.precision.graph import Layer
from glimpse.export.precision.layer_sensitivity import keep_fewest, smallest_prefix


@pytest.mark.parametrize("count", [1, 2, 3, 8, 13])
def test_the_smallest_prefix_is_found_in_few_tries(count: int) -> None:
    for wanted in range(1, count + 1):
        tried: list[int] = []

        def enough(n: int, wanted: int = wanted, tried: list[int] = tried) -> bool:
            tried.append(n)
            return n >= wanted

        assert smallest_prefix(count, enough) == wanted
        assert len(tried) <= 2 * count.bit_length() + 1
        assert len(set(tried)) == len(tried)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_there_is_no_prefix_if_none_is_enough(count: int) -> None:
    assert smallest_prefix(count, lambda _: False) is None


def layers(*work: int) -> list[Layer]:
    return [Layer(str(i), "MatMul", "", "", "", "", one) for i, one in enumerate(work)]


def test_no_more_than_half_of_the_work_is_kept() -> None:
    cosine, kept = keep_fewest(layers(3, 2, 4, 1), lambda some: 0.9 + len(some) / 100, 0.95)
    assert [layer.name for layer in kept] == ["0", "1"]
    assert cosine == pytest.approx(0.92)


def test_as_few_are_kept_as_reach_the_goal() -> None:
    cosine, kept = keep_fewest(layers(*[1] * 20), lambda some: 0.9 + len(some) / 100, 0.95)
    assert len(kept) == 5
    assert cosine == pytest.approx(0.95)


@pytest.mark.parametrize(
    ("cpuinfo", "wanted"),
    [
        ("flags\t\t: fpu avx2 avx512_vnni avx_vnni\n", ("avx512_vnni", "avx_vnni")),
        ("processor : 0\nFeatures : fp asimd asimddp i8mm\n", ("i8mm", "asimddp")),
        ("flags : fpu avx2\n", ()),
        ("", ()),
    ],
)
def test_the_instructions_for_eight_bits_are_read_off(cpuinfo: str, wanted: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert int8_instructions(tmp_path / "cpuinfo") == wanted


def test_eight_bits_overflow_only_without_the_processors_instructions(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    assert not saturates(file)
    file.write_text("flags : avx512_vnni\n")
    assert not saturates(file)


@pytest.mark.skipif("not __import__('platform').machine().lower() in ('x86_64', 'amd64')")
def test_eight_bits_overflow_on_x86_without_vnni(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags : fpu avx2\n")
    assert saturates(tmp_path / "cpuinfo")
