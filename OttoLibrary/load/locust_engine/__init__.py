"""What runs inside processes of Locust: its users fire, and a turret of ours counts what they do.

Face: ``locust_process`` is the program. It knows Locust, in whose environment it runs, and ``turret/``; as that, it is sent to
hosts. ``locustfiles/`` has the locust file of users who do a transaction of ours.
"""
