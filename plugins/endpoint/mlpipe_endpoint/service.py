"""What a server has in service, and how that changes without a failed request."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from mlpipe import UserError
from mlpipe_endpoint import logs
from mlpipe_endpoint.hosting import Host
from mlpipe_endpoint.link import ModelFailed
from mlpipe_endpoint.records import Recorder
from mlpipe_endpoint.routing import Table
from mlpipe_endpoint.state import EndpointFolder
from mlpipe_endpoint.values import Deployment, Model, Probe, shares
from mlpipe_endpoint.versions import folder_of, prune


class Service:
    """The live state of one endpoint.

    Args:
        name: The endpoint's.
        port: Where it listens.
        folder: Where its state is kept.
    """

    def __init__(self, name: str, port: int, folder: EndpointFolder) -> None:
        self.name = name
        self.table = Table({}, {})
        self.recorder = Recorder(folder.invocations)
        self.captures = Recorder(folder.captures)
        self._folder = folder
        self._deployment = Deployment(name, {}, {}, {}, port)
        self._verified = False
        self._token = ""
        self._changing = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def deployment(self) -> Deployment:
        """What is in service."""
        return self._deployment

    @property
    def verified(self) -> bool:
        """Whether the last change was read back and probed."""
        return self._verified

    @property
    def token(self) -> str:
        """What callers must show; nothing where it is empty. It is kept in memory only."""
        return self._token

    async def apply(self, wanted: Deployment, probe: Probe | None, token: str) -> None:
        """Serve exactly ``wanted``: new models are loaded and asked first, then all switch.

        Args:
            wanted: What to serve.
            probe: What new models must answer.
            token: What callers must show from then on.

        Raises:
            UserError: A new model does not load or answer. What was served still is.
        """
        async with self._changing:
            wanted = replace(wanted, port=self._deployment.port)
            hosts = await self._hosts(wanted, probe)
            self._switch(wanted, hosts, verified=False)
            self._token = token
            prune(self._folder.versions, [model.digest for model in wanted.variants.values()])

    async def weigh(self, weights: Mapping[str, float]) -> None:
        """Change the weights of some variants.

        Raises:
            UserError: The endpoint does not have them, or none would get traffic.
        """
        async with self._changing:
            now = self._deployment
            unknown = sorted(weights.keys() - now.variants.keys())
            if unknown:
                raise UserError(
                    f'endpoint "{self.name}" has no variant "{unknown[0]}"',
                    fix=f"Its variants: {', '.join(now.variants) or 'none'}.",
                )
            merged = {**now.weights, **weights}
            if not any(merged.values()):
                raise UserError("at least one variant needs a weight above 0")
            self._switch(
                replace(now, weights=merged), dict(self.table.hosts), verified=self._verified
            )

    def confirm(self) -> None:
        """Note that what is in service was read back and probed."""
        self._folder.save(self._deployment, verified=True)
        self._verified = True

    async def close(self) -> None:
        """End all workers."""
        for variant, host in self.table.hosts.items():
            self._retire(host, at_once=variant in self.table.shadows)
        self.table = Table({}, {})
        await asyncio.gather(*self._retiring)
        self.recorder.close()
        self.captures.close()

    async def _hosts(self, wanted: Deployment, probe: Probe | None) -> dict[str, Host]:
        there = {
            variant: host
            for variant, host in self.table.hosts.items()
            if variant in wanted.variants and host.serves(wanted.variants[variant])
        }
        new = {
            variant: self._host(variant, model)
            for variant, model in wanted.variants.items()
            if variant not in there
        }
        outcomes = await asyncio.gather(
            *(_try_out(host, probe) for host in new.values()), return_exceptions=True
        )
        for failure in filter(None, outcomes):
            for host in new.values():
                self._retire(host)
            raise failure
        return there | new

    def _host(self, variant: str, model: Model) -> Host:
        return Host(variant, model, folder_of(self._folder.versions, model.digest))

    def _switch(self, wanted: Deployment, hosts: Mapping[str, Host], *, verified: bool) -> None:
        """Save, then change what requests see. Nothing else runs in between."""
        self._folder.save(wanted, verified=verified)
        logs.note("info", f"in service: {shares(wanted.weights)}", models=_digests(wanted))
        before, self.table = (
            self.table,
            Table(hosts, wanted.weights, wanted.assigned_with, wanted.shadow),
        )
        self._deployment, self._verified = wanted, verified
        for variant, host in hosts.items():
            host.keep(0 if variant in wanted.shadow else wanted.spares)
        for variant, host in before.hosts.items():
            if hosts.get(variant) is not host:
                self._retire(host, at_once=variant in before.shadows)

    def _retire(self, host: Host, *, at_once: bool = False) -> None:
        task = asyncio.create_task(host.retire(at_once=at_once))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


def _digests(deployment: Deployment) -> dict[str, str]:
    return {name: model.digest for name, model in deployment.variants.items()}


async def _try_out(host: Host, probe: Probe | None) -> None:
    try:
        await host.start()
    except ModelFailed as error:
        raise UserError(
            f"the model {host.model.short} does not load: {error.message}",
            where=f"variant {host.variant}",
        ) from error
    if probe is None:
        return
    try:
        await host.invoke(probe.body, probe.content_type, probe.accept)
    except ModelFailed as error:
        raise UserError(
            f"the model {host.model.short} does not answer the probe: {error.message}",
            where=f"variant {host.variant}",
        ) from error
