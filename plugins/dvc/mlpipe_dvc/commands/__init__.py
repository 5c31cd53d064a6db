"""``mlpipe data``: the versions of a project's data sets. Looking at them imports no DVC."""
