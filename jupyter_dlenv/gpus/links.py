"""Which GPUs of many reach each other best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb

from .devices import Device
from .inventory import Inventory, Link

#: Above, the best set of all is not looked for, only a good one.
_MOST_SETS = 20_000
_COSTS = {
    Link.NVLINK: 0,
    Link.SAME_BOARD: 1,
    Link.SAME_SWITCH: 1,
    Link.SWITCHES: 2,
    Link.HOST_BRIDGE: 3,
    Link.SAME_NODE: 4,
    Link.SYSTEM: 6,
}
_Cost = tuple[int, int, int, tuple[int, ...]]


def best_connected(inventory: Inventory, pool: Sequence[Device], count: int) -> tuple[Device, ...]:
    """Return ``count`` devices of the pool, in order of their indices.

    Of sets with equally good links, the one is best that tears fewest NVLink pairs of free
    GPUs apart, then the one with least memory in use, then the first.
    """
    pool = sorted(pool, key=lambda d: d.order)
    if count >= len(pool) or count == 0:
        return tuple(pool[:count])
    links = {
        pair: inventory.link(pool[pair[0]].gpu.index, pool[pair[1]].gpu.index)
        for pair in combinations(range(len(pool)), 2)
    }
    distance = {pair: _COSTS[link] for pair, link in links.items()}
    # MIG devices have no links, not even to others of their own GPU.
    partners = [pair for pair, link in links.items() if link is Link.NVLINK and not pool[0].mig]

    def cost(members: tuple[int, ...]) -> _Cost:
        inside = set(members)
        return (
            sum(distance[pair] for pair in combinations(members, 2)),
            sum((a in inside) != (b in inside) for a, b in partners),
            sum(pool[m].memory_used for m in members),
            members,
        )

    if comb(len(pool), count) <= _MOST_SETS:
        best = min(combinations(range(len(pool)), count), key=cost)
    else:
        best = _good(len(pool), count, cost)
    return tuple(pool[member] for member in best)


def _good(size: int, count: int, cost: Callable[[tuple[int, ...]], _Cost]) -> tuple[int, ...]:
    """Return the best of the sets that grow from each single one by its cheapest neighbour."""
    grown = []
    for first in range(size):
        members: tuple[int, ...] = (first,)
        while len(members) < count:
            rest = set(range(size)) - set(members)
            members = min((tuple(sorted((*members, m))) for m in rest), key=cost)
        grown.append(members)
    return min(grown, key=cost)
