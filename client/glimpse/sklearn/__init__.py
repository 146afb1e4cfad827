"""A scikit-learn classifier on Glimpse, for vectors, texts and pictures.

    classifier = GlimpseClassifier(unknown_label="none").fit(texts, names)
    classifier.predict(["where is my invoice?"])

It needs scikit-learn. Everything else is imported on first use: the mathematics to fit vectors, a backbone for texts
and pictures, or the client of a server. docs/scikit-learn.md is a guide.
"""

try:
    from glimpse.sklearn.classifier import GlimpseClassifier
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] != "sklearn":
        raise
    raise ImportError(
        "glimpse.sklearn needs scikit-learn: pip install 'glimpse-fewshot[sklearn]'", name=error.name
    ) from error

__all__ = ["GlimpseClassifier"]
