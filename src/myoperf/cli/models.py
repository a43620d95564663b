"""``myoperf models``: what weights ship and what their cards say."""

from __future__ import annotations

import json
from importlib import resources

import typer

__all__ = ["show_models"]


def show_models(*, as_json: bool = False) -> None:
    """Print a line a model, or the cards whole."""
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
