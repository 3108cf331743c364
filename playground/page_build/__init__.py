"""What the page needs from npm, for a machine where it has not been fetched yet.

`package.json` names one release of livekit-client and `package-lock.json` the checksum of each package;
`toolchain.lock` names the wheel that ships Node.js, for a machine without npm. `client` finds or installs,
`node` finds or fetches npm. `playground.set_up` calls it.
"""
