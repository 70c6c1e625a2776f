"""The pages that a browser shows; their templates and styles lie in `web`.

- `home`: the page at `/`: the jobs, with their answers.
- `compare`: two to four jobs side by side.
- `job`: the page of one job, drawn in parts (`drawing`) from its `scene`, with a `rail` of its `acts`;
  `watch` and `live` keep it true, `job_buttons` does what its buttons ask for.
- `figures_of_jobs`: the figures of that page, at the addresses of `job_figures`; `job_parts` has what comes
  after the page, and the config as a file.
- `lanes`: the scale of its lanes; `search_lane` and `lane_marks` are those of act 1, `learning` its curves.
- `new`: the page at `/new`, a job put together in a form; `new_form` and `new_space` turn its fields into a
  spec, `new_fill` a spec into its fields (`new_begin`: of an earlier job, or one that is pasted). `new_check`
  says what is wrong, `new_elsewhere` gives the job to others, `new_plans` keeps plans.
- `catalog`: what a job can name, with formulas by `mathml` and options by `option_words`; and the `functions`
  that are allowed, all under the same `catalog_tabs`.
- `datasets`: people's own: the list, the look before one is kept, and each of them.
- `optuna`: the way to a job's own studies in the Optuna dashboard.
- `docs`: the API's description, to read and to try.
- `assets`: the files that they load.
- `site`: all of them, in the order of the bar.
- `frame`: the frame of every page, and what every template may call.
- `headers`: the headers with which every page is sent.
"""
