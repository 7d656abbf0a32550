"""What commands have in common: values are checked that click takes as they come, and messages name options.

Commands are made with ``@click.command(cls=Command)``.
"""

from typing import Any, NoReturn

import click

from kseq.cli.terminal import set_quiet, set_verbose
from kseq.cli.types import Folder, Mark
from kseq.errors import KseqError, Parameter
from kseq.naming import nearest

#: Options that are called otherwise than the parameters that they set.
_CALLED = {
    "num_layers": "layers", "test": "test_share", "validation": "validation_share", "levels": "level",
    "past_target": "no_past_target", "read_csv": "csv", "read_parquet": "parquet", "n_seeds": "seeds",
}  # fmt: skip


class Refused(click.ClickException):
    """A message of kseq in the words of the command line."""

    exit_code = 2


class Command(click.Command):
    """A command that refuses what click would take in silence, and whose messages name options, not parameters.

    Refused is an option given as an empty text, which a shell makes of a variable that is not set. Of an option that is
    given twice the last one counts, as everywhere: what is typed may follow what an alias holds.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what was typed."""
        try:
            if not ctx.resilient_parsing:
                self._require_values(ctx, args)
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = [text for parameter in self.params for text in parameter.opts if text.startswith("--")]
            near = nearest(error.option_name, known)
            # click's own are words that sound alike.
            raise click.NoSuchOption(error.option_name, None, [] if near is None else [near], ctx) from error

    def _require_values(self, ctx: click.Context, args: list[str]) -> None:
        values, _, order = self.make_parser(ctx).parse_args(list(args))
        for parameter in order:
            if not isinstance(parameter, click.Option):
                continue
            name = parameter.opts[0]
            value = values.get(parameter.name or "")
            if isinstance(value, str) and not value.strip() and not isinstance(parameter.type, Folder | Mark):
                raise click.UsageError(
                    f"received {name} {value!r}, expected a value; leave {name} out, or give one.", ctx
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KseqError as error:
            _refuse(self, error)


def _refuse(command: click.Command, error: KseqError) -> NoReturn:
    raise Refused(error.told(lambda name: option_of(command, name))) from error


def option_of(command: click.Command, name: Parameter) -> str:
    """The option that sets a parameter; the parameter's own name where the command has none.

    Args:
        command: The command that is running.
        name: Name of the parameter.
    """
    options = {parameter.name: parameter.opts[0] for parameter in command.params if isinstance(parameter, click.Option)}
    return options.get(_CALLED.get(name, str(name))) or options.get(str(name)) or str(name)


def talkative(command: click.Command) -> click.Command:
    """Give a command or a group ``--quiet`` and ``--verbose``."""
    command.params += [
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=set_quiet,
                     help="Print the result and errors alone."),
        click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=set_verbose,
                     help="Say more on standard error: kernels, epochs, blocks of seeds."),
    ]  # fmt: skip
    return command
