"""What the processes of an application share beside the switch.

:mod:`.protocol` is the socket between workers, commands and the gatekeeper: its place, its rights, its messages.
:mod:`.config` is what a gatekeeper is started with. :mod:`.register` says which application has a window and which workers
have seen it, and :mod:`.burnt` which windows' tokens somebody else may have.
"""
