"""Completion in a shell: of `kubectl trending` by kubectl, which asks `kubectl_complete-trending`, and of
`kubectl-trending` by the shell itself."""

from __future__ import annotations

import sys
from typing import Final

import click
from click.shell_completion import ShellComplete, get_completion_class

_PROGRAM: Final = "kubectl-trending"
_VARIABLE: Final = "_KUBECTL_TRENDING_COMPLETE"
_NO_FILES: Final = 4
"""Cobra's ShellCompDirectiveNoFileComp: what is offered is all there is (github.com/spf13/cobra/completions.go)."""
_DEFAULT: Final = 0
"""Cobra's ShellCompDirectiveDefault: files are offered too where nothing else is."""
_SHELLS: Final = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
def command(shell: str) -> None:
    """Print what makes a shell complete `kubectl-trending`.

    \b
    For `kubectl trending` itself, with the space, nothing is needed but kubectl's own completion: it asks
    kubectl_complete-trending, which is installed beside this program.
        kubectl trending completion bash > /etc/bash_completion.d/kubectl-trending
        kubectl trending completion zsh > "${fpath[1]}/_kubectl-trending"
        kubectl trending completion fish > ~/.config/fish/completions/kubectl-trending.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"there is no completion for {shell}")
    click.echo(_completion(kind).source())


def _completion(kind: type[ShellComplete] = ShellComplete) -> ShellComplete:
    from trending.cli.kubectl.program import program

    return kind(program, {}, _PROGRAM, _VARIABLE)


def main() -> None:
    """Answer kubectl: `kubectl_complete-trending WORD...`, of which the last is begun and may be empty."""
    *words, begun = sys.argv[1:] or [""]
    print("\n".join(answer(words, begun)))  # noqa: T201 (what kubectl reads)


def answer(words: list[str], begun: str) -> list[str]:
    """Return the lines of the answer: a candidate each, with what it is after a tab; then Cobra's directive."""
    items = _completion().get_completions(words, begun)
    files = any(item.type in ("file", "dir") for item in items)
    plain = [item for item in items if item.type == "plain"]
    said = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in plain]
    return [*said, f":{_DEFAULT if files else _NO_FILES}"]
