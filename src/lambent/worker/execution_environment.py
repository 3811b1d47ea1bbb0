"""An execution environment: its stages, its invocations one after the other, its log stream.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html. The stages are in `lifecycle`. This
module decides what an event of the runtime means for the invocation and the log; the session does the I/O,
`init_phase` launches it, and `accounts` ends an invocation.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine

from lambent.model import limits
from lambent.model.execution import (
    EnvironmentSpec,
    Invocation,
    LaunchFailure,
    LaunchFailureKind,
    NotHandedOff,
    PlatformFailed,
)
from lambent.observability import report
from lambent.worker import failures
from lambent.worker.accounts import Accounts, Current, Done
from lambent.worker.environment_settings import INIT_CPUS, EnvironmentSettings, MakePlan, NoEntrypoint
from lambent.worker.failures import Failure
from lambent.worker.init_phase import InitPhase, NoEntrypointError
from lambent.worker.lazy_timer import LazyTimer
from lambent.worker.lifecycle import Stage, Step, advance
from lambent.worker.output import LogTail, OutputLog
from lambent.worker.platform_log import RuntimeVersion, platform_log
from lambent.worker.ports import EndpointHost
from lambent.worker.sandbox.api import Launcher, SandboxError, SandboxExit
from lambent.worker.session import Session, SessionPlan

logger = logging.getLogger(__name__)


class ExecutionEnvironment:
    """Calls `ready` when it waits for an invocation and `ended`, once, when it is gone."""

    def __init__(
        self,
        spec: EnvironmentSpec,
        plan: SessionPlan | NoEntrypoint | MakePlan,
        runtime_version: RuntimeVersion,
        launcher: Launcher,
        output: OutputLog,
        endpoints: EndpointHost,
        settings: EnvironmentSettings,
        ready: Callable[[], None],
        ended: Callable[[LaunchFailure | None], None],
    ) -> None:
        self.spec = spec
        self._output = output
        self._log = platform_log(output, spec, runtime_version)
        self._accounts = Accounts(spec, output, self._log, self._max_memory_used_mb)
        self._init = InitPhase(spec, plan, launcher, output, endpoints, settings)
        self._settings = settings
        self._ready = ready
        self._ended = ended
        self._stage = Stage.LAUNCHING
        self._session: Session | None = None
        self._current: Current | None = None
        loop = asyncio.get_running_loop()
        self._deadline = LazyTimer(loop, self._timed_out)  # from the hand-over until the runtime asks for the next
        self._freeze_timer = LazyTimer(loop, self._freeze_if_idle)
        self._frozen = False
        self.memory_used_mb = 0  # as the last REPORT said
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin the init phase."""
        self._log.init_started()
        self._spawn(self._first_launch())

    def invoke(self, invocation: Invocation, done: Done) -> None:
        """Handle an event. Only when idle (or uninitialised: then init is tried once more first)."""
        self._current = Current(invocation, done, time.monotonic_ns())
        self._output.tail = LogTail() if invocation.log_tail else None
        if self._stage is Stage.UNINITIALISED:
            self._step(Step.RETRY_INIT)
            self._spawn(self._second_launch())
        else:
            self._step(Step.HAND_OUT)
            if self._frozen:
                self._thaw()
            self._log.started(invocation.request_id, invocation.tenant_id)
            self._hand_out_if_waiting()
        # What can wait is done while the runtime is at work.
        self._deadline.begin(invocation.timeout_s)
        self._output.begin()

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
                self._init.over()
                duration_ms = self._init.elapsed_ms()
                if not self._init.is_provisioned:  # else it was no part of any invocation
                    self._accounts.init_duration_ms = duration_ms
                self._log.initialised(duration_ms, "init")
                self._become_ready()
            case Stage.REINIT if self._current is not None:
                self._end_cpu_boost()
                self._step(Step.HAND_OUT)
                self._log.initialised(self._init.elapsed_ms(), "invoke")
                self._log.started(self._current.invocation.request_id, self._current.invocation.tenant_id)
                self._hand_out_if_waiting()
            case Stage.INVOKE if self._current is None:
                self._become_ready()
            case Stage.INVOKE:
                self._hand_out_if_waiting()  # it had lost its connection and asks again
            case _:
                pass

    def runtime_responded(self, payload: bytes) -> None:
        current, self._current = self._current, None
        if current is not None:
            self._accounts.settle(current, payload)

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
        except NoEntrypointError as error:
            self._step(Step.LAUNCHED)
            self._init_failed(failures.invalid_entrypoint("", error.looked_for), "error")
            return
        except SandboxError as error:
            self._end(str(error), LaunchFailure(LaunchFailureKind.SANDBOX, str(error)))
            return
        if self._stage is Stage.LAUNCHING:
            self._step(Step.LAUNCHED)
            self._init.limit(self._init_timed_out)
        else:
            await session.close()

    async def _second_launch(self) -> None:
        try:
            session = await self._launch()
        except NoEntrypointError as error:
            request_id = self._current.invocation.request_id if self._current else ""
            self._init_failed(failures.invalid_entrypoint(request_id, error.looked_for), "error")
            return
        except SandboxError as error:
            self._end(str(error))
            return
        if self._stage is not Stage.REINIT:
            await session.close()

    async def _launch(self) -> Session:
        self._session = await self._init.launch(self)
        return self._session

    def _init_timed_out(self) -> None:
        if self._stage is Stage.INIT:
            self._init_failed(failures.timed_out("", self._init.limit_s), "timeout")

    def _init_failed(self, failure: Failure, status: report.Status) -> None:
        """Init phase: keep the environment, its first invocation tries again. Within an invocation: that is it."""
        phase: report.Phase = "invoke" if self._current else "init"
        error_type = failure.error_type if status == "error" else None
        self._output.drain()
        self._log.init_failed(self._init.elapsed_ms(), status=status, error_type=error_type, phase=phase)
        self._init.over()
        if self._stage is Stage.REINIT and self._current is not None:
            self._log.started(self._current.invocation.request_id, self._current.invocation.tenant_id)
            self._fail(failure, status="error")
            self._end("its init failed twice")
            return
        self._output.flush()
        if self._init.is_provisioned:
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
            self._log.init_failed(self._init.elapsed_ms(), status="timeout", phase="invoke")
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
        current, self._current = self._current, None
        if current is not None:
            self._accounts.settle(
                current, failure.payload, failure=failure, status=status, duration_ms=duration_ms, words=words
            )

    def memory_taken_mb(self) -> int:
        """The most it has used up to now."""
        if self._session is None:
            return 0
        return min(-(-self._session.memory_peak_bytes() // limits.MIB), self.spec.memory_mb)

    def memory_current_mb(self) -> int:
        """What it uses now."""
        return 0 if self._session is None else self._session.memory_current_bytes() // limits.MIB

    def _max_memory_used_mb(self) -> int:
        if self._session is None:
            return 0
        self.memory_used_mb = self.memory_taken_mb()
        return self.memory_used_mb

    # Idle

    def _become_ready(self) -> None:
        self._step(Step.READY)
        self._deadline.put_off()
        self._freeze_timer.begin(self._settings.freeze_after_s)
        self._ready()

    def _freeze_if_idle(self) -> None:
        if self._stage is Stage.IDLE and self._session is not None:
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
        self._init.over()
        self._freeze_timer.stop()
        current, self._current = self._current, None
        self._deadline.stop()
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
