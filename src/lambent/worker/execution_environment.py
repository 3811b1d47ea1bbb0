"""An execution environment: its stages, its invocations one after the other, its log stream.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html. The stages are in `lifecycle`. This
module decides what an event of the runtime means for the invocation and the log; the session does the I/O. The
order of things at the end of an invocation is a promise: everything printed is read, END and REPORT follow, all of it
is on disk, and only then does the caller get the answer.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

from lambent.http.limits import HttpLimits
from lambent.model import limits
from lambent.model.execution import (
    PROVISIONED_CONCURRENCY,
    Completed,
    EnvironmentSpec,
    Invocation,
    LaunchFailure,
    LaunchFailureKind,
    NotHandedOff,
    Outcome,
    PlatformFailed,
)
from lambent.observability import report
from lambent.worker import failures
from lambent.worker.failures import Failure
from lambent.worker.lifecycle import Stage, Step, advance
from lambent.worker.output import LogTail, OutputLog
from lambent.worker.platform_log import RuntimeVersion, platform_log
from lambent.worker.ports import EndpointHost
from lambent.worker.sandbox.api import SandboxBackend, SandboxError, SandboxExit
from lambent.worker.session import Session, SessionPlan

logger = logging.getLogger(__name__)

INIT_CPUS = (
    1.0  # what an environment may use during init at least: as on AWS, init is not slowed by a small memory size
)

Done = Callable[[Outcome], None]


def _patient() -> HttpLimits:
    """A frozen runtime is not a slow client: it is the function's timeout that ends it.

    Our guests send the answer to one event and ask for the next at once: they need not be woken for the first's 202.

    A runtime needs one connection, and some ten extensions one each. What hostile code holds open is the server's.
    """
    return HttpLimits(
        header_timeout_s=math.inf,
        body_timeout_s=math.inf,
        keep_alive_timeout_s=math.inf,
        hold_pipelined_s=0.005,
        max_connections=64,
        max_held_bytes=4 * limits.SYNC_RESPONSE_MAX_BYTES,
    )


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """Times in seconds."""

    init_timeout_s: float = limits.INIT_TIMEOUT_S
    freeze_after_s: float = 0.05  # a freeze costs up to 0.25 ms: not between two invocations of a busy function
    runtime_api_limits: HttpLimits = field(default_factory=_patient)


@dataclass(frozen=True, slots=True)
class NoEntrypoint:
    """There is nothing to launch: none of these files is there and can be executed."""

    looked_for: tuple[str, ...]


MakePlan = Callable[[], Awaitable[SessionPlan | NoEntrypoint]]
"""What to launch. Asked for at each launch; raises SandboxError."""


@dataclass(slots=True)
class _Current:
    """The invocation being handled."""

    invocation: Invocation
    done: Done
    started_ns: int
    handed_out: bool = False


class ExecutionEnvironment:
    """Calls `ready` when it waits for an invocation and `ended`, once, when it is gone."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        plan: SessionPlan | NoEntrypoint | MakePlan,
        runtime_version: RuntimeVersion,
        backend: SandboxBackend,
        output: OutputLog,
        endpoints: EndpointHost,
        settings: EnvironmentSettings,
        ready: Callable[[], None],
        ended: Callable[[LaunchFailure | None], None],
    ) -> None:
        self.spec = spec
        self._plan = plan
        self._backend = backend
        self._output = output
        self._log = platform_log(output, spec, runtime_version)
        self._endpoints = endpoints
        self._settings = settings
        self._ready = ready
        self._ended = ended
        self._stage = Stage.LAUNCHING
        self._session: Session | None = None
        self._current: _Current | None = None
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._deadline_s = math.inf  # from the hand-over until the runtime asks for the next event
        self._init_started_ns = 0
        self._init_timer: asyncio.TimerHandle | None = None
        self._init_duration_ms: float | None = None  # until the first REPORT has said it
        self._freeze_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0
        self._frozen = False
        self.memory_used_mb = 0  # as the last REPORT said
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin the init phase."""
        self._log.init_started()
        self._spawn(self._first_launch())

    def invoke(self, invocation: Invocation, done: Done) -> None:
        """Handle an event. Only when idle (or uninitialised: then init is tried once more first)."""
        self._watch_deadline(invocation.timeout_s)
        self._output.begin()
        self._current = _Current(invocation, done, time.monotonic_ns())
        self._output.tail = LogTail() if invocation.log_tail else None
        if self._stage is Stage.UNINITIALISED:
            self._step(Step.RETRY_INIT)
            self._spawn(self._second_launch())
            return
        self._step(Step.HAND_OUT)
        if self._frozen:
            self._thaw()
        self._log.started(invocation.request_id, invocation.tenant_id)
        self._hand_out_if_waiting()

    def stop(self, reason: str) -> None:
        """End it, whatever it does."""
        if self._stage is not Stage.ENDED:
            logger.debug("stopping environment %s: %s", self.spec.environment_id, reason)
            self._end(reason)

    @property
    def stage(self) -> Stage:
        return self._stage

    # What the runtime did (see `session.SessionOwner`)

    def runtime_waits(self) -> None:
        match self._stage:
            case Stage.INIT:
                self._end_cpu_boost()
                self._cancel_init_timer()
                self._init_duration_ms = self._init_elapsed_ms()
                self._log.initialised(self._init_duration_ms, "init")
                self._become_ready()
            case Stage.REINIT if self._current is not None:
                self._end_cpu_boost()
                self._step(Step.HAND_OUT)
                self._log.initialised(self._init_elapsed_ms(), "invoke")
                self._log.started(self._current.invocation.request_id, self._current.invocation.tenant_id)
                self._hand_out_if_waiting()
            case Stage.INVOKE if self._current is None:
                self._become_ready()
            case Stage.INVOKE:
                self._hand_out_if_waiting()  # it had lost its connection and asks again
            case _:
                pass

    def runtime_responded(self, payload: bytes) -> None:
        self._finish(payload)

    def runtime_response_too_large(self) -> None:
        self._fail(failures.response_too_large(), status=None)

    def runtime_failed(self, payload: bytes, error_type: str | None) -> None:
        self._fail(failures.reported(payload, error_type), status=None)

    def runtime_init_failed(self, payload: bytes, error_type: str | None) -> None:
        self._init_failed(failures.reported(payload, error_type), "error")

    def runtime_exited(self, exit_: SandboxExit) -> None:
        match self._stage:
            case Stage.INIT | Stage.REINIT:
                request_id = self._current.invocation.request_id if self._current else ""
                self._init_failed(failures.exited(request_id, exit_), "error")
            case Stage.INVOKE if self._current is not None and self._current.handed_out:
                invocation = self._current.invocation
                failure = failures.exited(invocation.request_id, exit_)
                self._fail(failure, status="error", words=failures.exit_words(exit_))
                self._end("its runtime exited")
            case _:
                self._end("its runtime exited")

    # Starting

    async def _first_launch(self) -> None:
        try:
            session = await self._launch()
        except _NoEntrypointError as error:
            self._step(Step.LAUNCHED)
            self._init_failed(failures.invalid_entrypoint("", error.looked_for), "error")
            return
        except SandboxError as error:
            self._end(str(error), LaunchFailure(LaunchFailureKind.SANDBOX, str(error)))
            return
        if self._stage is Stage.LAUNCHING:
            self._step(Step.LAUNCHED)
            self._init_timer = self._loop.call_later(self._init_limit_s, self._init_timed_out)
        else:
            await session.close()

    async def _second_launch(self) -> None:
        try:
            session = await self._launch()
        except _NoEntrypointError as error:
            request_id = self._current.invocation.request_id if self._current else ""
            self._init_failed(failures.invalid_entrypoint(request_id, error.looked_for), "error")
            return
        except SandboxError as error:
            self._end(str(error))
            return
        if self._stage is not Stage.REINIT:
            await session.close()

    async def _launch(self) -> Session:
        self._init_started_ns = time.monotonic_ns()
        plan = await self._plan() if callable(self._plan) else self._plan
        if isinstance(plan, NoEntrypoint):
            raise _NoEntrypointError(plan.looked_for)
        self._session = await Session.launch(
            plan, self, self._backend, self._output, self._endpoints, self._settings.runtime_api_limits
        )
        return self._session

    @property
    def _is_provisioned(self) -> bool:
        return self.spec.initialization_type == PROVISIONED_CONCURRENCY

    @property
    def _init_limit_s(self) -> float:
        """Nobody waits for a provisioned environment: its init may take longer."""
        if self._is_provisioned:
            return max(limits.PROVISIONED_INIT_TIMEOUT_MIN_S, self.spec.timeout_s)
        return self._settings.init_timeout_s

    def _init_timed_out(self) -> None:
        if self._stage is Stage.INIT:
            self._init_failed(failures.timed_out("", self._init_limit_s), "timeout")

    def _init_failed(self, failure: Failure, status: report.Status) -> None:
        """Init phase: keep the environment, its first invocation tries again. Within an invocation: that is it."""
        phase: report.Phase = "invoke" if self._current else "init"
        error_type = failure.error_type if status == "error" else None
        self._output.drain()
        self._log.init_failed(self._init_elapsed_ms(), status=status, error_type=error_type, phase=phase)
        self._cancel_init_timer()
        if self._stage is Stage.REINIT and self._current is not None:
            self._log.started(self._current.invocation.request_id, self._current.invocation.tenant_id)
            self._fail(failure, status="error")
            self._end("its init failed twice")
            return
        self._output.flush()
        if self._is_provisioned:
            self._end("its init failed", LaunchFailure(LaunchFailureKind.INIT, "Its init phase failed."))
            return
        self._step(Step.INIT_FAILED)
        session, self._session = self._session, None
        self._spawn(self._ready_after_closing(session))

    async def _ready_after_closing(self, session: Session | None) -> None:
        if session is not None:
            await session.close()
        if self._stage is Stage.UNINITIALISED:
            self._ready()

    def _end_cpu_boost(self) -> None:
        """From its first `next` on, the share of its memory size."""
        share = self.spec.memory_mb / limits.MEMORY_MB_PER_VCPU
        if share < INIT_CPUS and self._session is not None:
            self._session.limit_cpus(share)

    # Invoking

    def _hand_out_if_waiting(self) -> None:
        current, session = self._current, self._session
        if current is None or current.handed_out or session is None or not session.waits:
            return  # it will be handed out when the runtime asks
        current.handed_out = True
        elapsed_s = (time.monotonic_ns() - current.started_ns) / 1e9
        deadline_ms = int((time.time() + current.invocation.timeout_s - elapsed_s) * 1000)
        session.hand_out(current.invocation, deadline_ms)

    def _watch_deadline(self, timeout_s: int) -> None:
        """One timer for many invocations: when it fires too early it is set again."""
        self._deadline_s = time.monotonic() + timeout_s
        if self._timer is not None and self._timer.when() > self._loop.time() + timeout_s:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_later(timeout_s, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        remaining_s = self._deadline_s - time.monotonic()
        if remaining_s <= 0:
            self._timed_out()
        elif remaining_s != math.inf:
            self._timer = self._loop.call_later(remaining_s, self._check_deadline)

    def _timed_out(self) -> None:
        current = self._current
        if current is None:
            self._end("its runtime answered an event and did not ask for the next one in time")
            return
        request_id, timeout_s = current.invocation.request_id, current.invocation.timeout_s
        if self._session is not None:
            self._session.kill()
        self._output.drain()
        if self._stage is Stage.REINIT:
            self._log.init_failed(self._init_elapsed_ms(), status="timeout", phase="invoke")
            self._log.started(request_id, current.invocation.tenant_id)
        self._output.say(report.task_timed_out_line(time.time_ns() // 1_000_000, request_id, timeout_s))
        self._fail(failures.timed_out(request_id, timeout_s), status="timeout", duration_ms=timeout_s * 1000.0)
        self._end("its invocation timed out")

    def _fail(
        self,
        failure: Failure,
        *,
        status: report.Status | None,
        duration_ms: float | None = None,
        words: str | None = None,
    ) -> None:
        """Finish with an error object. `words`: how the runtime process ended, for the log."""
        error_type = failure.error_type if status == "error" else None
        self._finish(failure.payload, failure=failure, status=status, error_type=error_type,
                     duration_ms=duration_ms, words=words)  # fmt: skip

    def _finish(
        self,
        payload: bytes,
        *,
        failure: Failure | None = None,
        status: report.Status | None = None,
        error_type: str | None = None,
        duration_ms: float | None = None,
        words: str | None = None,
    ) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        request_id = current.invocation.request_id
        if duration_ms is None:
            duration_ms = (time.monotonic_ns() - current.started_ns) / 1e6
        init_ms, self._init_duration_ms = self._init_duration_ms, None
        if self._is_provisioned:
            init_ms = None  # it was no part of any invocation
        billed_ms = report.billed_duration_ms(duration_ms, init_ms)
        output = self._output
        output.drain()
        if words is not None and failure is not None:
            output.say(report.runtime_exit_line(request_id, words, failure.error_type))
        self._log.finished(
            report.Report(
                request_id=request_id,
                duration_ms=duration_ms,
                billed_duration_ms=billed_ms,
                memory_size_mb=self.spec.memory_mb,
                max_memory_used_mb=self._max_memory_used_mb(),
                init_duration_ms=init_ms,
                status=status,
                error_type=error_type,
            ),
            failure.error_type if failure is not None else None,
            len(payload),
        )
        output.flush()
        output.end()
        tail, output.tail = output.tail, None
        log_tail = tail.bytes() if tail is not None else None
        if failure is not None:
            current.done(failure.completed(log_tail, duration_ms, billed_ms))
        else:
            current.done(Completed(payload, None, log_tail, duration_ms, billed_ms))

    def _max_memory_used_mb(self) -> int:
        if self._session is None:
            return 0
        self.memory_used_mb = min(-(-self._session.memory_peak_bytes() // limits.MIB), self.spec.memory_mb)
        return self.memory_used_mb

    # Idle

    def _become_ready(self) -> None:
        self._step(Step.READY)
        self._deadline_s = math.inf
        self._idle_since = self._loop.time()
        if self._freeze_timer is None:
            self._freeze_timer = self._loop.call_later(self._settings.freeze_after_s, self._freeze_if_idle)
        self._ready()

    def _freeze_if_idle(self) -> None:
        """One timer for many invocations: when it fires too early it is set again."""
        self._freeze_timer = None
        if self._stage is not Stage.IDLE or self._session is None:
            return
        remaining_s = self._idle_since + self._settings.freeze_after_s - self._loop.time()
        if remaining_s > 0:
            self._freeze_timer = self._loop.call_later(remaining_s, self._freeze_if_idle)
        else:
            self._session.freeze()
            self._frozen = True

    def _thaw(self) -> None:
        self._frozen = False
        if self._session is not None:
            self._session.thaw()

    # Ending

    def _end(self, reason: str, failure: LaunchFailure | None = None) -> None:
        if self._stage is Stage.ENDED:
            return
        self._step(Step.END)
        self._cancel_init_timer()
        if self._freeze_timer is not None:
            self._freeze_timer.cancel()
        current, self._current = self._current, None
        self._cancel_timer()
        if current is not None:
            current.done(PlatformFailed(reason) if current.handed_out else NotHandedOff(reason))
        self._spawn(self._close(failure))

    async def _close(self, failure: LaunchFailure | None) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        self._output.flush()
        self._ended(failure)

    def _step(self, step: Step) -> None:
        self._stage = advance(self._stage, step)

    def _init_elapsed_ms(self) -> float:
        return (time.monotonic_ns() - self._init_started_ns) / 1e6

    def _cancel_init_timer(self) -> None:
        if self._init_timer is not None:
            self._init_timer.cancel()
            self._init_timer = None

    def _cancel_timer(self) -> None:
        self._deadline_s = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name=f"environment {self.spec.environment_id}")
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        """The supervision point of this environment's tasks: a failure is logged and ends the environment."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a task of environment %s failed", self.spec.environment_id, exc_info=error)
            if self._stage is Stage.ENDED:
                self._ended(None)
            else:
                self._end(f"internal error: {error!r}")


class _NoEntrypointError(Exception):
    def __init__(self, looked_for: tuple[str, ...]) -> None:
        super().__init__(looked_for)
        self.looked_for = looked_for
