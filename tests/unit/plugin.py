"""The plugin as a person calls it."""

from click.testing import CliRunner, Result

from trending.cli.kubectl import program


def call(*arguments: str) -> Result:
    """Call `kubectl trending` with arguments; what it prints is no terminal's."""
    result = CliRunner().invoke(program, arguments, prog_name="kubectl trending")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result
