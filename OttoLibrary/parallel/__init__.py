"""Runs pabot safely: every selected test is in the report, and no process outlives the run.

Face: ``run`` of ``pabot``. ``suite_process`` is what pabot starts for a suite, ``lost_results`` fills in the report
of one that died, ``robot_output`` reads output files.
It never changes what pabot decides about which suite runs where.
"""
