"""The pages that a browser shows; their templates and styles lie in `web`.

- `home`: the page at `/`: the jobs, with their answers.
- `compare`: two to four jobs side by side.
- `job`: the page of one job, from its search to its verdict.
- `new`: the page at `/new`: a job put together in a form.
- `catalog`: optimizers, models, datasets, tasks and functions.
- `datasets`: the files that were sent, and a form for another.
- `docs`: the API's description, to read and to try.
- `site`: all of them, in the order of the bar.
- `frame`: the frame of every page, and what every template may call.
- `assets`: the files that they load.
- `headers`: the headers with which every page is sent.
"""
