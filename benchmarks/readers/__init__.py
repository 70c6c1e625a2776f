"""A large job: what do its readers cost?"""
