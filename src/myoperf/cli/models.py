"""``myoperf models``: the shipped weights and their cards."""

import json
from importlib import resources
from typing import Annotated

import typer

from myoperf.cards import read_card
from myoperf.cli.app import app


@app.command()
def models(as_json: Annotated[bool, typer.Option("--json", help="Whole cards as JSON.")] = False) -> None:
    """List the shipped weights and their cards."""
    folder = resources.files("myoperf") / "weights"
    homes = sorted((f for f in folder.iterdir() if f.is_dir()), key=lambda f: f.name) if folder.is_dir() else []
    cards = [read_card(home) for home in homes]
    if as_json:
        typer.echo(json.dumps(cards, indent=1))
        return
    for card in cards:
        typer.echo(f"{card['name']}  version {card['version']}  {card.get('task', '')}")
        typer.echo(f"  trained on: {card.get('training_data', 'not stated')}")
        typer.echo(f"  measured:   {card.get('verdict', 'not stated')}")
        typer.echo(f"  licence {card['licence']}; sha256 {card['sha256']}")
