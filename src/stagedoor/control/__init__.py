"""What the processes of an application share beside the switch.

:mod:`.place` is where the socket between workers, commands and the gatekeeper is, and whose; :mod:`.protocol` what is said
on it; :mod:`.connection` the end of whoever is not the gatekeeper. :mod:`.config` is what a gatekeeper is started with,
:mod:`.lock` who may start it, and :mod:`.leftovers` what is removed when one was killed. :mod:`.register` says which
application has a window and which workers have seen it, and :mod:`.burnt` which windows' tokens somebody else may have.
"""
