"""What one can see of the agent from outside: Prometheus metrics of a process and of the rooms in it.

`Metrics` is made once a process, by whoever runs the rooms, and `MetricsActor` is in each room. Import them
from their modules: prometheus-client is loaded only where metrics are wanted.
"""
