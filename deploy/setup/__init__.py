"""Set-up of a fresh Debian machine; standard library only, since it runs before anything is installed."""
