"""Reads a file that a person sent into columns that can be trained on.

It runs as a process of its own (`python -m whichopt.workers.intake REQUEST.json`), as a file may be made to
harm its reader: within limits, which it sets itself first, and without torch, the engine, a database or a
broker. Nothing in a file is ever run or unpickled.

`delimited`, with `blocks`, `parquet` and `arrays` read formats into columns as they are; `columns` infers
what a column holds, `target` what is to be predicted, `division` how rows are divided, and `described` what
each column becomes, which `inferred` does on all cores; `taken` puts it together, `remarks` says what the
data show, and `kept` writes what is kept.
"""
