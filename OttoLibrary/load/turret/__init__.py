"""What runs on the host that fires: Python 3.8 is enough, and nothing of it imports other packages.

Face: ``turret_process`` is the program. It never imports from the rest of OttoLibrary, since it is sent to hosts without it.
"""
