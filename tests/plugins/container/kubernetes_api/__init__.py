"""A Kubernetes API on loopback that answers as the real one for the calls that a deploy makes."""

from tests.plugins.container.kubernetes_api.cluster import Cluster, start
from tests.plugins.container.kubernetes_api.images import Program

__all__ = ["Cluster", "Program", "start"]
