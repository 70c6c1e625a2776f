"""Every figure, as one pure function that returns a Vega-Lite spec; and each optimizer's color and shape.

The same spec is drawn by Vega on the page, to static SVG in the report and the docs, and by a notebook.

- `tones`: the color and the shape of each optimizer, the same everywhere.
"""
