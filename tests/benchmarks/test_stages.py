"""The stages of a write, as they are timed from inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import stages
from convostore.storage import writer

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.asyncio
async def test_every_stage_of_every_operation_is_timed(tmp_path: Path) -> None:
    """Each took some time, and together they are no more than there was; all is put back."""
    kind = writer.Writer
    before = [kind.put, kind._begin, kind._run, kind._index, writer._settle_here]
    found = await stages.costs(tmp_path, 2)
    assert before == [kind.put, kind._begin, kind._run, kind._index, writer._settle_here]
    assert len(found) == 5
    for one in found:
        assert all(one.stages_us[name] > 0 for name in (*stages.STAGES, *stages.CPU[:2]))
        if one.what.endswith("1 task"):
            assert sum(one.stages_us[name] for name in stages.STAGES) < one.wall_us
            assert one.together == 1
    assert found[1].together > 1
    lines = stages.table(found).splitlines()
    assert {line.count("|") for line in lines} == {7}
