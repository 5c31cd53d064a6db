"""What a deploy may do at AWS. What it may do in the cluster, the cluster says."""

from mlpipe import Permission
from mlpipe_aws import Settings


def to_deploy(found: Settings, cluster: str) -> tuple[Permission, ...]:
    """To look up the cluster; who asks it, STS says without a permission."""
    arn = f"arn:aws:eks:{found.region}:*:cluster/{cluster}"
    return (Permission(("eks:DescribeCluster",), (arn,)),)
