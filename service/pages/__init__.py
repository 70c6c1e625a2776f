"""The pages that a browser shows; their templates and styles lie in `web`.

- `home`: the page at `/`: the jobs, with their answers.
- `compare`: two to four jobs side by side.
- `job`: the page of one job, drawn from its `scene`, with a `rail` of its `acts`.
- `docs`: the API's description, to read and to try.
- `assets`: the files that they load.
- `frame`: the frame of every page, and what every template may call.
- `headers`: the headers with which every page is sent.
"""
