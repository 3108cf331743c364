"""Traces of turns, for OpenTelemetry.

`TraceActor` is in each room; `actors.traces.exporting` is of the process, and loaded only where traces are
wanted.
"""
