"""Assignment: directed cases, and a model of everything that can happen."""

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lambent.invoke.assignment import Action, Assignment, Hand, Start, Stop
from lambent.model.ids import EnvironmentId

ONE, TWO = EnvironmentId("one"), EnvironmentId("two")


def test_the_first_invocation_starts_an_environment_and_gets_it() -> None:
    assignment = Assignment[str]()
    assert assignment.submit("event") == Start(1)
    assignment.started(ONE)
    assert assignment.ready(ONE) == Hand("event", ONE)


def test_a_warm_environment_is_used_again() -> None:
    assignment = Assignment[str]()
    assignment.submit("first")
    assignment.started(ONE)
    assignment.ready(ONE)
    assert assignment.ready(ONE) is None
    assert assignment.submit("second") == Hand("second", ONE)


def test_the_most_recently_used_one_is_taken() -> None:
    assignment = Assignment[str]()
    for environment_id in (ONE, TWO):
        assignment.started(environment_id)
        assignment.ready(environment_id)
    assert assignment.submit("event") == Hand("event", TWO)
    assert list(assignment.idle) == [ONE]


def test_no_more_are_started_than_wait() -> None:
    assignment = Assignment[str]()
    assert assignment.submit("a") == Start(1)
    assignment.started(ONE)
    assert assignment.submit("b") == Start(1)
    assignment.started(TWO)
    assert assignment.ready(ONE) == Hand("a", ONE)
    assert assignment.ended(TWO) == Start(1)  # b still waits


def test_an_invocation_that_was_not_handed_off_goes_first() -> None:
    assignment = Assignment[str]()
    assignment.submit("a")
    assignment.started(ONE)
    assignment.ready(ONE)
    assignment.submit("b")
    assignment.ended(ONE)
    assignment.resubmit("a")
    assignment.started(TWO)
    assert assignment.ready(TWO) == Hand("a", TWO)


def test_retired_environments_stop_when_they_are_done() -> None:
    assignment = Assignment[str]()
    assignment.submit("a")
    assignment.started(ONE)
    assignment.ready(ONE)
    assignment.started(TWO)
    assignment.ready(TWO)
    assert assignment.retire() == [Stop(TWO)]
    assert assignment.ready(ONE) == Stop(ONE)


class AssignmentMachine(RuleBasedStateMachine):
    """Every invocation is handed out exactly once, to an environment that does nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.assignment = Assignment[int]()
        self.names = (EnvironmentId(f"env-{number}") for number in count())
        self.numbers = count()
        self.submitted: set[int] = set()
        self.handed: dict[int, EnvironmentId] = {}
        self.starting: list[EnvironmentId] = []
        self.busy: list[EnvironmentId] = []
        self.idle: list[EnvironmentId] = []

    def carry_out(self, action: Action[int] | None) -> None:
        match action:
            case Hand(invocation=invocation, environment_id=environment_id):
                assert invocation not in self.handed
                assert environment_id not in self.busy
                self.handed[invocation] = environment_id
                if environment_id in self.idle:
                    self.idle.remove(environment_id)
                self.busy.append(environment_id)
            case Start(count=number):
                for _ in range(number):
                    environment_id = next(self.names)
                    self.assignment.started(environment_id)
                    self.starting.append(environment_id)
            case _:
                pass

    @rule()
    def submit(self) -> None:
        number = next(self.numbers)
        self.submitted.add(number)
        self.carry_out(self.assignment.submit(number))

    @precondition(lambda self: self.starting or self.busy)
    @rule(data=st.data())
    def ready(self, data: st.DataObject) -> None:
        environment_id = data.draw(st.sampled_from(self.starting + self.busy))
        (self.starting if environment_id in self.starting else self.busy).remove(environment_id)
        action = self.assignment.ready(environment_id)
        if action is None:
            self.idle.append(environment_id)
        self.carry_out(action)

    @precondition(lambda self: self.starting or self.busy or self.idle)
    @rule(data=st.data())
    def ended(self, data: st.DataObject) -> None:
        environment_id = data.draw(st.sampled_from(self.starting + self.busy + self.idle))
        for group in (self.starting, self.busy, self.idle):
            if environment_id in group:
                group.remove(environment_id)
        self.carry_out(self.assignment.ended(environment_id))

    @precondition(lambda self: self.idle)
    @rule(data=st.data())
    def stop_idle(self, data: st.DataObject) -> None:
        environment_id = data.draw(st.sampled_from(self.idle))
        assert self.assignment.stop_idle(environment_id)
        self.idle.remove(environment_id)

    @invariant()
    def nobody_waits_beside_an_idle_environment(self) -> None:
        assert not (self.assignment.waiting and self.idle)

    @invariant()
    def whoever_waits_has_an_environment_coming(self) -> None:
        assert self.assignment.waiting <= len(self.starting)

    @invariant()
    def counts_agree(self) -> None:
        assert self.assignment.waiting == len(self.submitted) - len(self.handed)
        assert self.assignment.environments == len(self.starting) + len(self.busy) + len(self.idle)
        assert list(self.assignment.idle) == self.idle


TestAssignmentMachine = AssignmentMachine.TestCase
