"""The files that were sent, and a form for another.

- `page`: the routes.
- `form_words`: the words of the form's problems.
"""
