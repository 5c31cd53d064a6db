"""The two pluggy markers. Importing them is all a plugin needs to be one."""

from pluggy import HookimplMarker, HookspecMarker

#: pluggy's project name, and the entry-point group that plugins register in.
PROJECT = "mlpipe"

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)
