"""`nudge models alias`, `aliases`, `unalias`, `notes` and `delete`: what a model is called, and what is said of it."""

import click

from client.terminal import Terminal, connected

IF_MATCH = click.option("--if-match", metavar="ETAG", help="Only while the alias still has this ETag.")
MODEL_IF_MATCH = click.option(
    "--if-match", metavar="ETAG", help="Only while the model still has this ETag; `nudge models show` tells it."
)


@click.command()
@click.argument("name")
@connected
def aliases(terminal: Terminal, name: str) -> None:
    """List the aliases of a NAME, the last moved first."""
    page = terminal.client().models.aliases(name, limit=200)
    if terminal.json:
        terminal.document([item.to_json() for item in page.data])
    else:
        terminal.table(
            ("alias", "version", "model", "moved (UTC)"),
            ((item.alias, item.version, item.model, f"{item.updated_at:%Y-%m-%d %H:%M}") for item in page.data),
        )


@click.command()
@click.argument("name")
@click.argument("alias")
@click.argument("version", type=click.IntRange(1), required=False)
@IF_MATCH
@click.option("--new", is_flag=True, help="Only if there is no such alias yet.")
@connected
def alias(terminal: Terminal, name: str, alias: str, version: int | None, if_match: str | None, new: bool) -> None:
    """Point an ALIAS of a NAME at a VERSION; without one, show where it points, and its ETag."""
    models = terminal.client().models
    if version is not None:
        models.set_alias(name, alias, version, if_match=if_match, new=new)
    elif if_match or new:
        raise click.UsageError("--if-match and --new are for pointing an alias: give a VERSION.")
    found = models.alias(name, alias)
    if terminal.json:
        terminal.document(found.to_json() | {"etag": found.etag})
    else:
        terminal.facts(
            {
                "alias": f"{found.name}@{found.alias}",
                "version": found.version,
                "model": found.model,
                "moved": f"{found.updated_at:%Y-%m-%d %H:%M:%S} UTC",
                "etag": found.etag,
            }
        )


@click.command()
@click.argument("name")
@click.argument("alias")
@IF_MATCH
@connected
def unalias(terminal: Terminal, name: str, alias: str, if_match: str | None) -> None:
    """Remove an ALIAS of a NAME; the model stays."""
    terminal.client().models.remove_alias(name, alias, if_match=if_match)
    if terminal.json:
        terminal.document({"name": name, "alias": alias, "deleted": True})
    else:
        terminal.out.print(f"Removed {name}@{alias}.")


@click.command()
@click.argument("model")
@click.argument("text", required=False)
@MODEL_IF_MATCH
@connected
def notes(terminal: Terminal, model: str, text: str | None, if_match: str | None) -> None:
    """Show a model's notes, or write TEXT in their place."""
    if text is None and if_match is not None:
        raise click.UsageError("--if-match is for writing notes: give a TEXT.")
    found = terminal.client().models.get(model)
    if text is not None:
        found.write_notes(text, if_match=if_match)
    if terminal.json:
        terminal.document({"id": found.id, "notes": found.record.notes})
    else:
        click.echo(found.record.notes)


@click.command()
@click.argument("model")
@MODEL_IF_MATCH
@connected
def delete(terminal: Terminal, model: str, if_match: str | None) -> None:
    """Delete a model that no alias points at; MODEL is an id, name@version, or a name with one version."""
    models = terminal.client().models
    if not model.startswith("mdl_") and "@" not in model and len(versions := models.list(name=model, limit=2)) > 1:
        raise click.UsageError(f"{model} has several versions; say which, such as {model}@{versions.data[0].version}.")
    found = models.get(model)
    found.delete(if_match=if_match)
    if terminal.json:
        terminal.document({"id": found.id, "deleted": True})
    else:
        terminal.out.print(f"Deleted {found.id}, {found.name}@{found.record.version}.")


@click.command()
@click.argument("checkpoint")
@click.argument("name")
@click.option("--notes", default="", help="A text about it.")
@connected
def create(terminal: Terminal, checkpoint: str, name: str, notes: str) -> None:
    """Make a model of a CHECKPOINT (its id): the next version of NAME. A job that succeeds makes one by itself."""
    made = terminal.client().models.create(checkpoint, name, notes)
    if terminal.json:
        terminal.document(made.record.to_json())
    else:
        terminal.out.print(f"Made {made.id}, {made.name}@{made.record.version}.", soft_wrap=True)
