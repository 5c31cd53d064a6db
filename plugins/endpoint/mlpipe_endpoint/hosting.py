"""Hosting one variant: a worker that is replaced when it dies or hangs."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from mlpipe_endpoint import logs
from mlpipe_endpoint.link import Answer, ModelFailed, Outcome, WorkerLink
from mlpipe_endpoint.values import Model

#: Seconds that loading a model may take.
LOAD_SECONDS = 300.0
#: Seconds that a model may take to answer, as on SageMaker.
ANSWER_SECONDS = 60.0
#: Seconds between attempts to bring a dead worker back: the first, and the longest.
RETRY_SECONDS = (0.1, 30.0)


class Host:
    """A variant's model, kept running until it is retired.

    The first worker that lives answers. The others are spares: they have loaded the model too,
    and one of them goes on at once when the first ends.

    Args:
        variant: The variant's name.
        model: Its model.
        folder: Where that is unpacked.
        patience: Seconds that the model may take to answer.
        spares: How many workers to keep beside the one that answers.
    """

    def __init__(
        self,
        variant: str,
        model: Model,
        folder: Path,
        patience: float = ANSWER_SECONDS,
        spares: int = 0,
    ) -> None:
        self.variant = variant
        self.model = model
        self._folder = folder
        self._patience = patience
        self._spares = spares
        self._links: list[WorkerLink] = []
        self._keeper: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._retired = False
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        """Whether the model can be asked."""
        return self._link() is not None

    @property
    def pid(self) -> int | None:
        """The process number of the worker that answers, while there is one."""
        link = self._link()
        return None if link is None else link.pid

    @property
    def spare_pids(self) -> list[int]:
        """The process numbers of the spares that are ready."""
        return [link.pid for link in self._links if link.alive][1:]

    def serves(self, model: Model) -> bool:
        """Whether a model is this one, in the same interpreter."""
        return (self.model.digest, self.model.python) == (model.digest, model.python)

    async def start(self) -> None:
        """Load the model.

        Raises:
            ModelFailed: It cannot be loaded.
        """
        self._links.append(await self._open())

    def keep(self, spares: int) -> None:
        """From now on, bring back workers that end, and have so many spares."""
        self._spares = spares
        self._changed.set()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())

    async def _open(self) -> WorkerLink:
        return await WorkerLink.open(
            self.variant, self.model, self._folder, LOAD_SECONDS, self._changed.set
        )

    async def _keep(self) -> None:
        pause = RETRY_SECONDS[0]
        while not self._retired:
            await self._clear()
            if len(self._links) <= self._spares:
                pause = await self._add(pause)
            else:
                await self._changed.wait()
                self._changed.clear()

    async def _clear(self) -> None:
        """Part with workers that have ended, and with spares that are too many."""
        for link in [each for each in self._links if not each.alive]:
            self._log("a process ended; starting another")
            self._links.remove(link)
            await link.close()
        while len(self._links) > self._spares + 1:
            await self._links.pop().close()

    async def _add(self, pause: float) -> float:
        """Start a worker; give the seconds to wait before the next one."""
        await asyncio.sleep(pause)
        try:
            self._links.append(await self._open())
        except (ModelFailed, OSError) as error:
            pause = min(pause * 2, RETRY_SECONDS[1])
            self._log(f"a process does not start ({error}); next try in {pause:g} s")
            return pause
        return RETRY_SECONDS[0]

    async def invoke(self, body: bytes, content_type: str, accept: str) -> Answer:
        """Ask the model, and wait.

        Raises:
            ModelFailed: It refused the request, failed, died or took too long.
        """
        answered: asyncio.Future[Answer | ModelFailed] = asyncio.Future()
        self.ask(body, content_type, accept, answered.set_result)
        outcome = await answered
        if isinstance(outcome, ModelFailed):
            raise outcome
        return outcome

    def ask(
        self,
        body: bytes,
        content_type: str,
        accept: str,
        then: Callable[[Answer | ModelFailed], object],
    ) -> None:
        """Ask the model.

        Args:
            body: The request's body.
            content_type: What it is.
            accept: What is wanted back.
            then: Called once: with the answer, or with why there is none.
        """
        link = self._link()
        if link is None:
            then(ModelFailed(503, "it is being started again"))
            return
        self._enter()

        def answered(outcome: Outcome) -> None:
            self._leave()
            then(self._late(link) if isinstance(outcome, TimeoutError) else outcome)

        link.ask(body, content_type, accept, self._patience, answered)

    def _link(self) -> WorkerLink | None:
        for link in self._links:
            if link.alive:
                return link
        return None

    def _late(self, link: WorkerLink) -> ModelFailed:
        if link.stuck(self._patience):
            # Only the worker's end frees the others that wait behind this request.
            link.kill()
        return ModelFailed(500, f"it did not answer within {self._patience:g} s")

    def _enter(self) -> None:
        self._in_flight += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            self._idle.set()

    async def retire(self, *, at_once: bool = False) -> None:
        """Let what is in flight finish, unless nobody waits for it; then end the workers."""
        if not at_once:
            await self._idle.wait()
        self._retired = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        links, self._links = self._links, []
        await asyncio.gather(*(link.close() for link in links))

    def _log(self, text: str) -> None:
        logs.note("warning", f"variant {self.variant}: {text}", variant=self.variant)
