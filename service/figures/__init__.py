"""Every figure, as one pure function that returns a Vega-Lite spec with its words.

The same spec is drawn by Vega on the page, to static SVG in the report and the docs, and by a notebook.

figure       Figure, Metric, Point, Line                    style   fonts, colors and room of all
progress     best_so_far, learning_curves, expected_best    axes    ranges, outliers and ticks
odds         odds_by_look, odds_by_trials, chance_by_lead   labels  names at the ends of lines
tuning       default_against_tuned, lr_ranges, lr_tile      tones   an optimizer's color and shape
intervals    finalists, behind_the_best, seed_values
coordinates  parallel_coordinates
static       SVG without scripts, by `converter`             notebook  HTML and Vega-Lite of a notebook
shown        a recommendation and a job in a notebook
costs        seconds_used, steps_to_target                made    points_made, of networks
"""
