"""What plugins that talk to AWS share: a target's settings, clients, the store in its bucket."""

from mlpipe_aws.clients import client
from mlpipe_aws.explaining import explain, failing, passing
from mlpipe_aws.prices import Prices
from mlpipe_aws.settings import Settings, settings
from mlpipe_aws.store import Store

__all__ = ["Prices", "Settings", "Store", "client", "explain", "failing", "passing", "settings"]
