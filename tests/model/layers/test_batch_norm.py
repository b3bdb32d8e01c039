"""Our batch normalisation is torch's, over one process or over several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from model.layers.batch_norm import BatchNorm

ROOT = Path(__file__).parents[3]


def norms() -> tuple[BatchNorm, nn.BatchNorm1d]:
    """Ours and torch's, with the same scales and shifts."""
    ours, theirs = BatchNorm(6), nn.BatchNorm1d(6)
    with torch.no_grad():
        for norm in (ours, theirs):
            norm.weight.copy_(torch.linspace(0.5, 2, 6))
            norm.bias.copy_(torch.linspace(-1, 1, 6))
    return ours, theirs


def values(rows: int, seed: int = 0) -> Tensor:
    drawn = torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed))
    return drawn * torch.linspace(0.1, 4, 6) + 3


def test_alone_it_is_torchs_in_training_and_evaluation() -> None:
    ours, theirs = norms()
    for seed, rows in enumerate((2, 7, 30)):
        batch = values(rows, seed)
        torch.testing.assert_close(ours(batch), theirs(batch))
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()))
    assert ours.num_batches_tracked == 3
    torch.testing.assert_close(ours.eval()(values(4, 9)), theirs.eval()(values(4, 9)))


def test_a_single_example_gives_the_shift_and_passes_on_no_gradient() -> None:
    ours, _ = norms()
    single = values(1).requires_grad_()
    output = ours(single)
    torch.testing.assert_close(output[0], ours.bias)
    output.square().sum().backward()
    assert single.grad is not None
    assert torch.isfinite(single.grad).all()
    for name, buffer in ours.named_buffers():
        assert torch.isfinite(buffer).all(), name
    assert ours.running_var is not None
    torch.testing.assert_close(ours.running_var, torch.full((6,), 0.9))


PROCESS = """
import sys, numpy as np, torch, torch.distributed as dist
from model.layers.batch_norm import BatchNorm

rank, folder, shares = int(sys.argv[1]), sys.argv[2], [int(n) for n in sys.argv[3].split(",")]
dist.init_process_group(
    "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(shares)
)
given = dict(np.load(f"{folder}/given.npz"))
batch, direction = (
    torch.from_numpy(given[name]).split(shares)[rank].clone() for name in ("batch", "direction")
)
batch.requires_grad_()
norm = BatchNorm(6)
with torch.no_grad():
    norm.weight.copy_(torch.from_numpy(given["weight"]))
    norm.bias.copy_(torch.from_numpy(given["bias"]))
output = norm(batch)
(output * direction).sum().backward()
results = {
    "output": output, "batch": batch.grad, "weight": norm.weight.grad, "bias": norm.bias.grad,
    "running_mean": norm.running_mean, "running_var": norm.running_var,
    "tracked": norm.num_batches_tracked,
}
np.savez(f"{folder}/rank{rank}.npz", **{n: t.detach().numpy() for n, t in results.items()})
dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(5, 2), (1, 1)], ids=["uneven", "one each"])
def test_two_processes_compute_what_one_does(tmp_path: Path, shares: tuple[int, int]) -> None:
    _, whole = norms()
    # A direction of mean 3 would leave little but rounding of the gradient.
    batch, direction = values(sum(shares)).requires_grad_(), values(sum(shares), 1) - 3
    given: dict[str, Tensor] = {
        "batch": batch,
        "direction": direction,
        "weight": whole.weight,
        "bias": whole.bias,
    }
    np.savez(tmp_path / "given.npz", **{n: t.detach().numpy() for n, t in given.items()})
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    written = ",".join(map(str, shares))
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(rank), str(tmp_path), written],
            cwd=ROOT,
            env=environment,
        )
        for rank in range(2)
    ]
    try:
        assert [process.wait(timeout=120) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
    output = whole(batch)
    (output * direction).sum().backward()
    ranks = [
        {n: torch.from_numpy(v) for n, v in np.load(tmp_path / f"rank{r}.npz").items()}
        for r in range(2)
    ]
    assert batch.grad is not None
    assert whole.weight.grad is not None
    assert whole.bias.grad is not None
    for name, expected in (("output", output.detach()), ("batch", batch.grad)):
        torch.testing.assert_close(torch.cat([rank[name] for rank in ranks]), expected)
    for name, expected in (("weight", whole.weight.grad), ("bias", whole.bias.grad)):
        torch.testing.assert_close(ranks[0][name] + ranks[1][name], expected)
    for rank in ranks:
        torch.testing.assert_close(rank["running_mean"], whole.running_mean)
        torch.testing.assert_close(rank["running_var"], whole.running_var)
        assert rank["tracked"] == 1
