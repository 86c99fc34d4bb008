"""Scenarios: events that come due during a long test, what became of each, and disturbances that heal.

Face: ``description.read`` makes a ``Scenario`` of a file, with every mistake at once; ``schedule.ScenarioRun`` runs one on the
event loop, with an action for each event, and fills a ``ledger.ScenarioLedger``; ``plan_text`` says in words what would happen
and when.

It knows neither Robot Framework nor the hosts of a run: what an event does is an ``Action`` that ``run/`` makes.
"""
