"""The environment's life."""

import pytest

from lambent.worker.lifecycle import STEPS, LifecycleError, Stage, Step, advance


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("step", Step)
def test_the_table_decides(stage: Stage, step: Step) -> None:
    if (stage, step) in STEPS:
        assert advance(stage, step) is STEPS[stage, step]
    else:
        with pytest.raises(LifecycleError):
            advance(stage, step)


def test_every_stage_but_the_last_can_end() -> None:
    for stage in Stage:
        assert ((stage, Step.END) in STEPS) == (stage is not Stage.ENDED)


def test_every_stage_can_be_reached() -> None:
    reached = {Stage.LAUNCHING}
    for _ in Stage:
        reached |= {target for (stage, _), target in STEPS.items() if stage in reached}
    assert reached == set(Stage)
