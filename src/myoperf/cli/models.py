"""``myoperf models``: the shipped weights and their cards."""

import json
from importlib import resources
from typing import Annotated

import typer

from myoperf.cli.app import app


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Whole cards as JSON.")] = False) -> None:
    """List the shipped weights and their cards."""
    folder = resources.files("myoperf") / "weights"
    homes = sorted((f for f in folder.iterdir() if f.is_dir()), key=lambda f: f.name) if folder.is_dir() else []
    cards = [json.loads((home / "card.json").read_text(encoding="utf-8")) for home in homes]
    if as_json:
        typer.echo(json.dumps(cards, indent=1))
        return
    for card in cards:
        typer.echo(f"{card['name']}  version {card['version']}  {card['task']}")
        typer.echo(f"  trained on: {card['training_data']}")
        typer.echo(f"  measured:   {card['verdict']}")
        typer.echo(f"  licence {card['licence']}; sha256 {card['sha256']}")
