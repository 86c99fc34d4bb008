"""Load: virtual users against a system, counted to the last one, with limits and a report.

The HQ (``hq``) collects what turrets fire. A turret is a process of many cannons; a cannon is one virtual user. ``turret/`` is
what runs on the host that fires: it needs Python 3.8 and nothing else. The wire is OCT's, and a wire of our own between our own
peers. Face: ``LoadPlan`` says what is fired, ``LoadRun`` runs it from the engine's loop, ``LoadLimit`` is a limit on its
statistics, ``write_report`` makes the page.

It never knows Robot Framework: who fires Robot keywords stands in ``run/``.
"""
