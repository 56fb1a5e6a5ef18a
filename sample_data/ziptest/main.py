"""Sample project: imports siblings and reads a data file by its relative path."""

import csv
from pathlib import Path

from greeting import greet
from shapes.circle import area

with Path("data/radii.csv").open() as file:
    for row in csv.DictReader(file):
        print(greet(row["name"]), f"area {area(float(row['radius'])):.2f}")
