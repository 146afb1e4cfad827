"""Builds the HTML page. Everything that comes from the data is escaped where it is inserted."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from glimpse.evaluate.evaluation import Evaluation
from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.comparison import compared_head
from glimpse.evaluate.report import plots, tables
from glimpse.evaluate.report.method import method
from glimpse.evaluate.report.thumbnails import snippet, thumbnail
from glimpse.evaluate.report.transfer_plot import transfer_plot

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #22252a; background: #fff; max-width: 68rem; margin: 0 auto;
  padding: 1rem; overflow-wrap: anywhere; }
p, ul, .verdict { max-width: 46rem; }
h2 { font-size: 1.15rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
.verdict { font-size: 1.15rem; font-weight: normal;
  margin: 0; padding: .8rem 1rem; background: #f3f6fa; border-left: 4px solid #0072b2; }
.note, figcaption, .small { color: #5d636b; font-size: .875rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .875rem; }
td { white-space: nowrap; } td.text { white-space: normal; min-width: 5rem; } th { overflow-wrap: normal; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e3e6ea; text-align: right; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.worst { display: grid; grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); gap: .75rem; }
.worst.texts { grid-template-columns: 1fr; } .worst img { display: block; }
.worst div { font-size: .8125rem; } summary { cursor: pointer; }
"""

_MOST_LABELS = 100  # rows of the label table

_HELD_OUT = (
    "No unknown inputs were given (--unknown), so each trial held out a third of the labels and used their inputs as "
    "unknown ones. Expected: the rate that a collection expects to catch, by leaving out its own labels."
)


def page(evaluation: Evaluation) -> str:
    """Returns the complete document; it loads nothing else."""
    title = f"{escape(evaluation.plan.data.name)}: {len(evaluation.bundles)} backbone{_s(len(evaluation.bundles))}"
    body = "\n".join(_sections(evaluation))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1 class="verdict">{escape(evaluation.summary)}</h1>\n<p class="note">{title}</p>\n'
        f"{body}\n</body>\n</html>\n"
    )


def _sections(evaluation: Evaluation) -> Iterator[str]:
    results = list(evaluation.results.values())
    yield from (f'<p class="note">{escape(note)}.</p>' for note in evaluation.notes)
    yield "<h2>Accuracy</h2>"
    yield _image(plots.accuracy_plot(results), "Accuracy over examples per label", "Bars: 95 % intervals over seeds.")
    yield tables.accuracies(results) + "<h3>Decisions and prediction sets</h3>" + tables.decisions(results)
    if evaluation.differences:
        yield "<h3>Backbones on the same draws</h3>" + tables.differences(evaluation.differences)
    if evaluation.transfer:
        yield "<h2>What transfer brings</h2>" + _transfer(evaluation)
    if evaluation.domain_shifts:
        yield "<h2>Domains</h2>" + tables.domains(evaluation.domain_shifts)
    names = [name for name in _best_first(evaluation) if any(result.backbone == name for result in results)]
    yield "<h2>Can the probabilities be trusted?</h2>"
    compared = [(name, _compared(results, name)) for name in names]
    compared = [(name, own) for name, own in compared if own]
    if compared:
        yield _note("On the dotted line, predictions with probability 70 % are right in 70 of 100 cases.")
        shots = sorted({result.shots for _, own in compared for result in own})
        for name, own in compared:
            yield f"<h3>{escape(name)}</h3>" + _image(plots.reliability_plot(own, shots), f"Reliability of {name}", "")
        yield "<h2>Known and unknown</h2>"
        yield from _unknown(evaluation, compared)
    yield "<h2>Confusions</h2>"
    yield from (_folded(name, _confusion(evaluation, name), i == 0) for i, name in enumerate(names))
    yield "<h2>Label by label</h2>"
    yield from (_folded(name, _per_label(evaluation, name), i == 0) for i, name in enumerate(names))
    yield "<h2>Most certain mistakes</h2>"
    yield from (_folded(name, _worst(evaluation, name), i == 0) for i, name in enumerate(names))
    yield "<h2>How it was measured</h2>" + method(evaluation)


def _unknown(evaluation: Evaluation, compared: list[tuple[str, list[AggregatedResult]]]) -> Iterator[str]:
    """Yields the section on unknown inputs, or on held-out labels if none were given."""
    held_out = {result.backbone: result for result in evaluation.held_out}  # the last has the most shots
    last = [(name, held_out.get(name, own[-1])) for name, own in compared]
    yield _note(f"At the most examples per label{', with held-out labels' if held_out else ''}.")
    for name, result in last:
        source = plots.histogram_plot(list(result.histograms.values())[-1])
        yield f"<h3>{escape(name)}</h3>" + _image(source, f"Known and unknown inputs of {name}", "")
    yield tables.unknown(list(evaluation.results.values()))
    if held_out:
        yield "<h3>Held-out labels</h3>" + _note(_HELD_OUT) + tables.held_out(evaluation.held_out)
    elif not evaluation.plan.unknown:
        yield _note("No unknown inputs were given; --unknown names a folder of them.")


def _transfer(evaluation: Evaluation) -> str:
    """Returns the curves with and without transfer, and the three benefits."""
    baseline = list(evaluation.baseline.values())
    own = [
        one
        for (_, head, shots), one in evaluation.results.items()
        if shots in evaluation.baseline and head == compared_head(shots)
    ]
    note = (
        f"No transfer: the same classifier on {baseline[0].backbone}, which no training made, with the same draws. "
        "A slope can be lower with transfer, because a curve that starts near its asymptote has less to gain."
    )
    best = max(evaluation.transfer, key=lambda one: one.asymptote.gain.mean)
    caption = f"Bars: 95 % intervals over seeds. Between the lines: the benefits of {best.backbone}."
    source = transfer_plot(own, baseline, best)
    return (
        _note(note)
        + _image(source, "Accuracy with and without transfer", caption)
        + tables.transfer(evaluation.transfer)
    )


def _compared(results: list[AggregatedResult], name: str) -> list[AggregatedResult]:
    """Returns a backbone's results of the heads that backbones are compared by, ordered by shots."""
    own = [one for one in results if one.backbone == name and one.contender.name == compared_head(one.shots)]
    return sorted(own, key=lambda one: one.shots)


def _best_first(evaluation: Evaluation) -> list[str]:
    names = [bundle.manifest.name for bundle in evaluation.bundles]
    at_most = [one for one in evaluation.differences if one.shots == max(evaluation.shots)]
    return list(dict.fromkeys([*(one.first for one in at_most), *(one.second for one in at_most), *names]))


def _confusion(evaluation: Evaluation, name: str) -> str:
    confusions, labels = evaluation.confusions[name], evaluation.dataset.labels
    if not any(truth != predicted for truth, predicted in confusions.counts):
        return '<p class="note">There were no mistakes.</p>'
    shown, parts = confusions.matrix(labels)
    caption = f"The {len(shown)} most confused of {len(labels)} labels." if len(shown) < len(labels) else ""
    rows = [
        [escape(str(one["label"])), escape(str(one["taken_for"])), str(one["count"])]
        for one in confusions.most_common(labels, 10)
    ]
    commonest = tables.table(["label", "taken for", "times"], rows, text=2)
    return _image(plots.confusion_plot(shown, parts), f"Confusions of {name}", caption) + commonest


def _per_label(evaluation: Evaluation, name: str) -> str:
    figures = evaluation.confusions[name].per_label(evaluation.dataset.labels)
    note = (
        "In percent, over all draws at the most examples per label, worst recall first. Recall: the fraction of a "
        "label’s inputs that were predicted correctly. Precision: the fraction of its predictions that were correct."
    )
    more = len(figures) - _MOST_LABELS
    rest = _note(f"{more:,} more labels are in evaluation.json.") if more > 0 else ""
    return _note(note) + tables.per_label(figures[:_MOST_LABELS]) + rest


def _worst(evaluation: Evaluation, name: str) -> str:
    data = evaluation.dataset
    [rule] = [bundle.manifest.image for bundle in evaluation.bundles if bundle.manifest.name == name]
    shown = []
    for one in evaluation.confusions[name].surest():
        content = data.contents[one.place]
        if data.kind == "image":
            source = thumbnail(content, rule) if rule else None
            picture = f'<img src="{source}" alt="{escape(Path(content).name)}">' if source else "(file not found)"
            head = f'<span title="{escape(content)}">{picture}</span>'
        else:
            head = f"“{escape(snippet(content))}”"
        prediction = f"<b>{escape(data.labels[one.predicted])}</b>, {one.probability:.0%}"
        shown.append(f"<div>{head}<br>{prediction}<br>right: {escape(data.labels[one.truth])}</div>")
    kind = "worst" if data.kind == "image" else "worst texts"
    if not shown:
        return '<p class="note">There were no mistakes.</p>'
    caption = "Images as the backbone sees them. " if data.kind == "image" else ""
    note = f'<p class="note">{caption}The prediction, its probability, and the right label.</p>'
    return f'{note}<div class="{kind}">{"".join(shown)}</div>'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _folded(name: str, content: str, is_open: bool) -> str:
    return f"<details{' open' if is_open else ''}><summary>{escape(name)}</summary>{content}</details>"


def _image(source: str, what: str, caption: str) -> str:
    figcaption = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><img src="{source}" alt="{escape(what)}">{figcaption}</figure>'


def _s(count: int) -> str:
    return "" if count == 1 else "s"
