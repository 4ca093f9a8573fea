"""`trending crd`: the CustomResourceDefinition, for kubectl."""

from typing import Any

import click
import yaml

from trending.api.crd import build_crd


class _PlainDumper(yaml.SafeDumper):
    """Writes what stands twice twice: people read it, and not every YAML reader follows aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 (PyYAML's own signature)
        return True


def write_yaml(document: dict[str, Any]) -> str:
    """Write a document as YAML that reads well: keys in their order, long lines folded, no aliases."""
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)


@click.command("crd")
def command() -> None:
    """Print the CustomResourceDefinition, made from the models.

    \b
    Install or upgrade it by hand:
        trending crd | kubectl apply --server-side -f -
    """
    click.echo(write_yaml(build_crd()), nl=False)
