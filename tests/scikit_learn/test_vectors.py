"""The estimator on vectors: scikit-learn's own checks, and what it promises beyond them."""

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from glimpse.client import DecisionPolicy
from glimpse.sklearn import GlimpseClassifier, _in_process

Floats = npt.NDArray[np.float64]


@parametrize_with_checks([GlimpseClassifier()])  # type: ignore[untyped-decorator]
def test_scikit_learn_accepts_the_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


def clusters(count: int, classes: int = 3, seed: int = 0) -> tuple[Floats, npt.NDArray[np.str_]]:
    """Returns vectors around the axes of a space with 8 dimensions, and the names of their classes."""
    rng = np.random.default_rng(seed)
    places = np.arange(count * classes) % classes
    names = np.array([f"class {place}" for place in range(classes)])
    return np.eye(8)[places] + rng.normal(scale=0.2, size=(len(places), 8)), names[places]


#: A vector that points away from every class.
OUTSIDE = -np.ones((1, 8))


def test_one_example_per_class_is_enough() -> None:
    vectors, names = clusters(20)
    classifier = GlimpseClassifier().fit(vectors[:3], names[:3])
    assert classifier.score(vectors, names) == 1.0


def test_partial_fits_give_the_same_as_one_fit() -> None:
    vectors, names = clusters(10)
    whole = GlimpseClassifier().fit(vectors, names)
    parts = GlimpseClassifier()
    for start in range(0, len(vectors), 7):
        parts.partial_fit(vectors[start : start + 7], names[start : start + 7])
    queries, _ = clusters(5, seed=1)
    np.testing.assert_allclose(parts.predict_proba(queries), whole.predict_proba(queries), atol=1e-6)
    assert parts.decision_(queries).tolist() == whole.decision_(queries).tolist()


def test_an_example_that_comes_twice_counts_once() -> None:
    vectors, names = clusters(4)
    once = GlimpseClassifier().fit(vectors, names)
    twice = GlimpseClassifier().fit(vectors, names).partial_fit(vectors[:5], names[:5])
    np.testing.assert_array_equal(twice.predict_proba(vectors), once.predict_proba(vectors))


def test_a_class_may_come_with_a_later_call() -> None:
    vectors, names = clusters(4)
    known = names != "class 1"
    classifier = GlimpseClassifier().partial_fit(vectors[known], names[known], classes=["class 0", "class 2"])
    assert classifier.classes_.tolist() == ["class 0", "class 2"]
    classifier.partial_fit(vectors[~known], names[~known])
    assert classifier.classes_.tolist() == ["class 0", "class 1", "class 2"]
    assert classifier.score(vectors, names) == 1.0


def test_a_class_without_examples_has_probability_zero() -> None:
    vectors, names = clusters(4)
    classifier = GlimpseClassifier().partial_fit(vectors, names, classes=["another", *np.unique(names)])
    assert classifier.classes_.tolist()[0] == "another"
    probabilities = classifier.predict_proba(vectors)
    assert not probabilities[:, 0].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_classes_are_strings_or_numbers_but_not_both() -> None:
    vectors, names = clusters(4)
    classifier = GlimpseClassifier().fit(vectors, names)
    with pytest.raises(ValueError, match="Mix of label input types"):
        classifier.partial_fit(vectors[:1], [7])


@pytest.mark.parametrize(
    ("classes", "label"), [(None, "none"), (None, "a much longer name than the classes have"), ([4, 5, 6], -1)]
)
def test_unknown_inputs_get_the_unknown_label(classes: list[int] | None, label: Any) -> None:
    vectors, names = clusters(10)
    y = names if classes is None else np.array(classes)[np.arange(len(names)) % 3]
    plain = GlimpseClassifier().fit(vectors, y)
    named = GlimpseClassifier(unknown_label=label).fit(vectors, y)
    assert plain.decision_(OUTSIDE).tolist() == ["UNKNOWN"]
    assert plain.predict(OUTSIDE)[0] in y
    assert named.predict(OUTSIDE).tolist() == [label]
    known = named.decision_(vectors) != "UNKNOWN"
    assert known.mean() > 0.8
    assert named.predict(vectors)[known].tolist() == plain.predict(vectors)[known].tolist()
    assert named.predict(vectors).dtype.kind == plain.predict(vectors).dtype.kind


def test_a_vector_of_zeros_is_unknown() -> None:
    vectors, names = clusters(10)
    classifier = GlimpseClassifier().fit(vectors, names)
    assert classifier.decision_(np.zeros((1, 8))).tolist() == ["UNKNOWN"]
    assert np.isfinite(classifier.predict_proba(np.zeros((1, 8)))).all()


def test_the_length_of_a_vector_does_not_count() -> None:
    vectors, names = clusters(10)
    lengths = np.random.default_rng(0).uniform(0.1, 1000, (len(vectors), 1))
    expected = GlimpseClassifier().fit(vectors, names).predict_proba(vectors)
    scaled = GlimpseClassifier().fit(vectors * lengths, names).predict_proba(vectors / lengths)
    np.testing.assert_allclose(scaled, expected, atol=1e-5)


def test_numbers_stay_numbers_beside_a_string() -> None:
    vectors, names = clusters(10)
    y = np.unique(names, return_inverse=True)[1]
    predicted = GlimpseClassifier(unknown_label="none").fit(vectors, y).predict(np.concatenate([vectors[:3], OUTSIDE]))
    assert predicted.tolist() == [0, 1, 2, "none"]


def test_the_policy_decides() -> None:
    vectors, names = clusters(10)
    lenient = GlimpseClassifier(policy=DecisionPolicy(match_threshold=-1, match_margin=0)).fit(vectors, names)
    assert lenient.decision_(vectors).tolist() == ["MATCH"] * len(vectors)
    assert lenient.decision_(OUTSIDE).tolist() != ["UNKNOWN"]
    strict = GlimpseClassifier(policy=DecisionPolicy(match_threshold=0.9999)).fit(vectors, names)
    assert set(strict.decision_(vectors)) == {"UNKNOWN"}


def test_it_works_in_pipelines_and_searches() -> None:
    vectors, names = clusters(12)
    assert cross_val_score(make_pipeline(StandardScaler(), GlimpseClassifier()), vectors, names).min() > 0.9
    policies = [DecisionPolicy(match_threshold=0.9999), DecisionPolicy(false_reject_rate=0.05)]
    search = GridSearchCV(GlimpseClassifier(unknown_label="none"), {"policy": policies}, cv=3).fit(vectors, names)
    assert search.best_params_ == {"policy": policies[1]}


def test_a_pickled_estimator_predicts_and_learns() -> None:
    vectors, names = clusters(6)
    classifier = GlimpseClassifier().fit(vectors, names)
    kept = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(kept.predict_proba(vectors), classifier.predict_proba(vectors))
    assert kept.partial_fit(OUTSIDE, ["class 3"]).predict(OUTSIDE).tolist() == ["class 3"]


def test_a_sample_is_fitted_where_there_are_too_many_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_in_process, "_MOST_FITTED", 40)
    monkeypatch.setattr(_in_process, "_QUERIES", 7)
    vectors, names = clusters(60)
    classifier = GlimpseClassifier().fit(vectors, names)
    assert classifier.score(vectors, names) > 0.98
    assert classifier.decision_(OUTSIDE).tolist() == ["UNKNOWN"]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["a text"], "the examples are vectors"),
        ("a text", r"pass \[X\]"),
        (b"a picture", r"pass \[X\]"),
        ([1.0, 2.0], "Reshape your data"),
    ],
)
def test_malformed_inputs_are_refused(X: Any, message: str) -> None:  # noqa: N803
    classifier = GlimpseClassifier().fit(*clusters(3))
    with pytest.raises(ValueError, match=message):
        classifier.predict(X)


def test_a_fit_that_fails_leaves_nothing_fitted() -> None:
    classifier = GlimpseClassifier().fit(*clusters(3))
    with pytest.raises(ValueError, match="name the server"):
        classifier.set_params(collection="signs").fit(*clusters(3))
    with pytest.raises(NotFittedError):
        classifier.predict(OUTSIDE)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_vectors_need_neither_the_client_nor_a_backbone() -> None:
    """The layers allow three packages, and each is imported only when it is used."""
    done = run(
        "import sys\n"
        "from glimpse.sklearn import GlimpseClassifier\n"
        "print(*[name for name in sys.modules if name.startswith('glimpse.')])\n"
        "GlimpseClassifier().fit([[1.0, 0.0], [0.0, 1.0]], ['a', 'b']).predict([[1.0, 0.1]])\n"
        "print(*[name for name in sys.modules if name.startswith('glimpse.')])\n"
        "print('grpc' in sys.modules, 'onnxruntime' in sys.modules)\n"
    )
    assert done.returncode == 0, done.stderr
    imported, fitted, libraries = done.stdout.splitlines()
    assert {name.split(".")[1] for name in imported.split()} == {"sklearn"}
    assert {name.split(".")[1] for name in fitted.split()} == {"sklearn", "fewshot"}
    assert libraries == "False False"


ABSENT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
"""


def test_the_missing_extra_is_named_without_scikit_learn() -> None:
    done = run(ABSENT.format(module="sklearn") + "import glimpse.sklearn")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == "ImportError: glimpse.sklearn needs scikit-learn: pip install 'glimpse-fewshot[sklearn]'"


def test_the_missing_extra_is_named_for_texts_without_a_backbone() -> None:
    done = run(
        ABSENT.format(module="onnxruntime")
        + "from glimpse.sklearn import GlimpseClassifier\nGlimpseClassifier().fit(['a text'], ['a'])"
    )
    assert done.returncode == 1
    assert "onnxruntime is not installed: pip install 'glimpse-fewshot[server,sklearn]'" in done.stderr.splitlines()[-1]
