"""One optimizer under several names: how often is a winner named, all of which are false?"""
