"""What the commands share: how they read words, show help, report mistakes and write logs."""

import faulthandler
import logging
import math
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

import click

from awd.errors import InputError, nearest, words_of
from awd.machine import address_space
from awd.machine.interrupt import STOPPED
from awd.machine.output import allow_any_text

log = logging.getLogger("awd")


class Command(click.Command):
    """A command with ``examples`` at the end of its help, and mistakes of options in its log."""

    def __init__(self, *args, examples: Mapping[str, str] | None = None, **options):
        super().__init__(*args, **options)
        self.examples = examples or {}

    def parse_args(self, ctx, args):
        """Do as the base class does; begin the log even if an option is unknown."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError:
            if "--log" in words[:-1] and not log_files():
                start_log(Path(words[words.index("--log") + 1]))
            raise

    def format_epilog(self, ctx, formatter):  # noqa: ARG002 - click's signature
        """Write the examples with what they do: beside them, or above where that is too wide."""
        if not self.examples:
            return
        width = max(map(len, self.examples))
        beside = [f"  {line:{width}}  # {meaning}" for line, meaning in self.examples.items()]
        above = [f"  # {meaning}\n  {line}" for line, meaning in self.examples.items()]
        with formatter.section("Examples"):
            for text in above if max(map(len, beside)) > formatter.width else beside:
                formatter.write(f"{text}\n")


class Commands(click.Group):
    """Commands in the order of their definition; a mistake ends one with a sentence and code 1.

    Those defined with ``plumbing=True`` have a heading of their own.
    """

    command_class = Command

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.plumbing: set[str] = set()

    def command(self, *args, plumbing: bool = False, **options):
        """Define a command."""

        def define(function):
            command = click.Group.command(self, *args, **options)(function)
            if plumbing:
                self.plumbing.add(command.name)
            return command

        return define

    def format_commands(self, ctx, formatter):  # noqa: ARG002 - click's signature
        """Write every command with its whole first sentence."""
        for heading, inner in (("Commands", False), ("Steps of the workflow", True)):
            rows = [
                (name, command.get_short_help_str(limit=1000))
                for name, command in self.commands.items()
                if (name in self.plumbing) is inner
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def list_commands(self, ctx):  # noqa: ARG002 - click's signature
        """Return the names in the order of this file."""
        return list(self.commands)

    def main(self, *args, **options):
        """Do as the base class does; report that the help cannot be printed, as on a full disk."""
        allow_any_text()
        try:
            return super().main(*args, **options)
        except OSError as error:
            print(f"awd: {words_of(error)}", file=sys.stderr)
            sys.exit(1)

    def invoke(self, ctx):
        """Run the command; report the user's mistakes and the disk's errors as one sentence.

        Any other exception is a mistake in awd: its traceback goes to the terminal and the log.
        """
        try:
            address_space.check()
            return super().invoke(ctx)
        except click.ClickException as error:
            _write_to_log_file(f"awd: {error.format_message()}")
            raise
        except (click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends without a word if nobody reads what is printed, as after `| head`
        except KeyboardInterrupt:
            log.info("awd: stopped")
            sys.exit(STOPPED)
        except InputError as error:
            sentence = str(error)
        except OSError as error:
            sentence = f"{words_of(error)}; nothing was left half-written"
        except Exception as error:
            if (found := _lack_of_memory(error)) is None:
                log.exception("awd: unexpected error, please report it: %s", type(error).__name__)
                sys.exit(1)
            sentence = found
        log.error("awd: %s", sentence)
        sys.exit(1)


def _lack_of_memory(error: Exception) -> str | None:
    """Describe an error that is the machine's: no memory, or a library that cannot be loaded."""
    if isinstance(error, MemoryError):
        return "there is not enough memory; allow this program more (see `ulimit -v`)"
    if isinstance(error, ImportError) and ".so" in str(error):
        return (
            f"a library cannot be loaded: {error}; allow this program more memory (see `ulimit "
            "-v`), or install the library again"
        )
    return None


def folder(name):
    """An argument that is a folder or file, as a Path."""
    return click.argument(name, type=click.Path(path_type=Path))


log_option = click.option(
    "--log",
    type=click.Path(path_type=Path),
    help="Write a log there, too.",
    callback=lambda _ctx, _option, path: start_log(path),
    expose_value=False,
    is_eager=True,  # a mistake in another option is logged, too
)


def words_argument(function):
    """The argument ``KEY=VALUE ...`` of a command, as ``words``."""
    return click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")(function)


def only(given: Mapping, allowed: Collection[str]) -> None:
    """Raise InputError if the words have a key that the command does not take."""
    for key in given:
        if key not in allowed:
            raise InputError(f"the command line: unknown key '{key}'; {nearest(key, allowed)}")


def chosen(given: Mapping, key: str, allowed: Collection[str] | None = None) -> list[str] | None:
    """Return the list that the words give for ``key``, None if they do not.

    Raises InputError if one of its items is not ``allowed`` or stands there twice, or if there is
    none.
    """
    from awd.study.dialect import listed

    if key not in given:
        return None
    found = listed(given[key])
    if not found:
        raise InputError(f"the command line: {key} must not be empty")
    items = [str(item) for item in found]
    for item in items:
        if items.count(item) > 1:
            raise InputError(f"the command line: {key}: '{item}' is given twice")
        if allowed is not None and item not in allowed:
            raise InputError(f"the command line: {key}: no '{item}'; {nearest(item, allowed)}")
    return items


def number(given: Mapping, key: str, kind: type, usual: float, *, least: float):
    """Return the number that the words give for ``key``, or the ``usual`` one.

    Raises InputError if it is no number of this ``kind`` (int or float) or below ``least``.
    """
    value = given.get(key, usual)
    kinds = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value < math.inf:
        what = "whole number" if kind is int else "number"
        raise InputError(
            f"the command line: {key} must be a {what} of at least {least}, not '{value}'"
        )
    return kind(value)


def start_log(path: Path | None) -> None:
    """Send log lines to the terminal, and to ``path`` if given: there crashes leave a trace."""
    logging.raiseExceptions = False  # a full disk must not end a training that only logs
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if path is not None:
        handlers[0].setLevel(logging.WARNING)  # what else there is to see is in the log
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="a", encoding="utf-8")
        handlers.append(file)
        assert file.stream is not None
        faulthandler.enable(file.stream)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=handlers, force=True)


def log_files() -> list[logging.FileHandler]:
    """Return the handlers that write this program's log to files."""
    handlers = logging.getLogger().handlers
    return [each for each in handlers if isinstance(each, logging.FileHandler)]


def _write_to_log_file(sentence: str) -> None:
    for handler in log_files():
        handler.emit(logging.LogRecord("awd", logging.ERROR, "", 0, sentence, (), None))
