"""What Prometheus reads, by the parser of its own Python client."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from trending.controller.metrics import Metrics

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The samples of one answer at /metrics."""

    def __init__(self, text: str) -> None:
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        samples = [sample for family in self.families for sample in family.samples]
        self._values = {(sample.name, _labels(sample.labels.items())): sample.value for sample in samples}
        assert len(self._values) == len(samples), "a series is there twice"

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of the series with just these labels; None where there is none."""
        return self._values.get((name, _labels(labels.items())))

    def of(self, name: str, **labels: str) -> float | None:
        """Return the same of the schedule `hourly`."""
        return self.value(name, namespace="default", schedule="hourly", **labels)

    def series(self, name: str) -> list[Labels]:
        """Return the labels of each series of that name."""
        return [labels for known, labels in self._values if known == name]

    @property
    def schedules(self) -> set[str]:
        """Which schedules are spoken of."""
        return {value for _, labels in self._values for key, value in labels if key == "schedule"}


def scrape(metrics: Metrics) -> Scrape:
    """Return what Prometheus would read now."""
    return Scrape("".join(metrics.text()))


def _labels(pairs: Iterable[tuple[str, str]]) -> Labels:
    return frozenset(pairs)
