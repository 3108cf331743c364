"""Smart Turn's model, for a machine where it has not been fetched yet.

It ships inside the wheel of pipecat-ai, of which nothing else is used, and which wants a hundred packages:
one file of it is kept, with its licence. `wheel.lock` names the wheel. `fetch` finds or fetches the file;
`playground.set_up` calls it.
"""
