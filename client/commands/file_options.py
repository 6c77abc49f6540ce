"""Options that take several files."""

import click

OF_FILES = {"--data", "--validation"}


class FileOptions(click.Command):
    """Lets `--data images labels` stand for `--data images --data labels`, as a shell writes a pattern out."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        spread: list[str] = []
        option: str | None = None
        for arg in args:
            if arg.startswith("-") or arg.endswith(".json"):
                option = arg if arg in OF_FILES else None
            elif option is not None and spread[-1] != option:
                spread.append(option)
            spread.append(arg)
        return super().parse_args(context, spread)
