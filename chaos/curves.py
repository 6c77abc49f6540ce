"""Samples as CSV, and as small curves below each other in one SVG."""

import csv
from pathlib import Path

WIDTH, HEIGHT, LEFT, GAP = 640, 46, 150, 14
BLUE, INK, GREY = "#2f6db5", "#30363d", "#b9bec6"


def write(path: Path, samples: list[dict[str, float]]) -> None:
    """`path` gets the picture, the file beside it with the suffix .csv the numbers."""
    with path.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(samples[0]))
        writer.writeheader()
        writer.writerows({name: f"{value:g}" for name, value in sample.items()} for sample in samples)
    names = [name for name in samples[0] if name != "s"]
    height = GAP + len(names) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">',
        '<rect width="100%" height="100%" rx="6" fill="#ffffff"/>',
    ]
    span = max(samples[-1]["s"], 1.0)
    for place, name in enumerate(names):
        values = [sample[name] for sample in samples]
        top, most = GAP + place * (HEIGHT + GAP), max(*values, 1e-9)
        points = " ".join(
            f"{LEFT + WIDTH * sample['s'] / span:.1f},{top + HEIGHT * (1 - sample[name] / most):.1f}"
            for sample in samples
        )
        parts += [
            f'<text x="10" y="{top + HEIGHT / 2 + 4}">{name}</text>',
            f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{top + HEIGHT}" y2="{top + HEIGHT}" stroke="{GREY}"/>',
            f'<polyline points="{points}" fill="none" stroke="{BLUE}" stroke-width="1.4"/>',
            f'<text x="{LEFT + WIDTH + 6}" y="{top + 10}">{most:.4g}</text>',
        ]
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")
