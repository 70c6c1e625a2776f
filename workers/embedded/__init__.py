"""All in one: database, broker, API and workers as children of one command, ended by one Ctrl-C.

Order of a start: broker, workers and API are spawned at once, as the workers' imports take longest. Meanwhile
the database is migrated, which the workers wait for, and leases that the last end cut off are ended. This
process imports no torch.
"""
