"""Hosting one variant: a worker that is replaced when it dies or hangs."""

import asyncio
import sys
from pathlib import Path

from mlpipe_endpoint.link import Answer, ModelFailed, WorkerLink
from mlpipe_endpoint.values import Model

#: Seconds that loading a model may take.
LOAD_SECONDS = 300.0
#: Seconds that a model may take to answer, as on SageMaker.
ANSWER_SECONDS = 60.0
#: Seconds between attempts to bring a dead worker back: the first, and the longest.
RETRY_SECONDS = (0.1, 30.0)


class Host:
    """A variant's model, kept running until it is retired.

    Args:
        variant: The variant's name.
        model: Its model.
        folder: Where that is unpacked.
        patience: Seconds that the model may take to answer.
    """

    def __init__(
        self, variant: str, model: Model, folder: Path, patience: float = ANSWER_SECONDS
    ) -> None:
        self.variant = variant
        self.model = model
        self._folder = folder
        self._patience = patience
        self._link: WorkerLink | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        """Whether the model can be asked."""
        return self._link is not None and self._link.alive

    @property
    def pid(self) -> int | None:
        """The worker's process number, while there is one."""
        return self._link.pid if self._link is not None and self._link.alive else None

    async def start(self) -> None:
        """Load the model.

        Raises:
            ModelFailed: It cannot be loaded.
        """
        self._link = await WorkerLink.open(self._folder, LOAD_SECONDS)
        self._keeper = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        pause = RETRY_SECONDS[0]
        while True:
            if self._link is not None:
                await self._link.ended()
                await self._link.close()
                self._link = None
                self._log("its process ended; starting it again")
            await asyncio.sleep(pause)
            try:
                self._link = await WorkerLink.open(self._folder, LOAD_SECONDS)
                pause = RETRY_SECONDS[0]
            except (ModelFailed, OSError) as error:
                pause = min(pause * 2, RETRY_SECONDS[1])
                self._log(f"it does not start ({error}); next try in {pause:g} s")

    async def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """Ask the model.

        Raises:
            ModelFailed: It refused the request, failed, died or took too long.
        """
        link = self._link
        if link is None:
            raise ModelFailed(503, "it is being started again")
        self._enter()
        try:
            return await link.invoke(body, content_type, accept, self._patience)
        except TimeoutError:
            if link.stuck(self._patience):
                # Only the worker's end frees the others that wait behind this request.
                link.kill()
            raise ModelFailed(500, f"it did not answer within {self._patience:g} s") from None
        finally:
            self._leave()

    def _enter(self) -> None:
        self._in_flight += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def retire(self) -> None:
        """Let what is in flight finish, then end the worker."""
        await self._idle.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._link is not None:
            await self._link.close()
            self._link = None

    def _log(self, text: str) -> None:
        print(f"variant {self.variant}: {text}", file=sys.stderr, flush=True)
