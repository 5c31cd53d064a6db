"""How a cluster at EKS is reached: its address, its certificate, tokens."""

import base64
from dataclasses import dataclass

from mlpipe.errors import StageError
from mlpipe_aws import Settings, client, failing
from mlpipe_container.kubernetes.tokens import Tokens, signer

_READY = ("ACTIVE", "UPDATING")


@dataclass(frozen=True)
class Access:
    """What a kubeconfig says of a cluster.

    Attributes:
        cluster: Its name.
        endpoint: ``https://…`` of its API.
        authority: The certificate that its own is held against, as PEM.
        tokens: Say who asks.
    """

    cluster: str
    endpoint: str
    authority: str
    tokens: Tokens


def access(settings: Settings, cluster: str) -> Access:
    """Ask EKS how a cluster is reached.

    Raises:
        StageError: There is none of that name, it is not ready, or EKS does not say.
    """
    eks = client(settings, "eks")
    with failing(f'the cluster "{cluster}" cannot be looked up', "kubernetes.cluster"):
        try:
            found = eks.describe_cluster(name=cluster)["cluster"]
        except eks.exceptions.ResourceNotFoundException:
            raise StageError(
                f'EKS has no cluster "{cluster}" in {settings.region}',
                where="kubernetes.cluster",
                fix=f"List them: aws eks list-clusters --region {settings.region}",
            ) from None
    if found["status"] not in _READY:
        raise StageError(
            f'the cluster "{cluster}" is {found["status"]}',
            where="kubernetes.cluster",
            fix=f"Wait until it is active: aws eks wait cluster-active --name {cluster}",
        )
    authority = base64.b64decode(found["certificateAuthority"]["data"]).decode()
    return Access(cluster, found["endpoint"], authority, Tokens(signer(settings, cluster)))
