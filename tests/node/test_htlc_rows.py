"""Numbers of HTLCs: one for each, one for each change, none given twice; a restart goes on."""

from dataclasses import replace

from tests.support.kernels import World, link
from wallet.base.values.blocks import BlockHeight
from wallet.machines.channel.htlc_stages import FINAL
from wallet.node import persist

NUMBERS = "SELECT htlc_id, created_index, updated_index, stage FROM htlcs ORDER BY created_index"


async def test_created_and_updated() -> None:
    async with World() as world:
        await world.give(world.alice)
        link(world.alice, world.bob)
        await world.settle()
        await world.open(world.alice, world.bob)
        for label in "ab":
            await world.alice.pay(await world.bob.invoice(label))
            await world.settle()
        memory = world.alice.kernel.board.memory
        rows = await world.alice.store.query(NUMBERS)
        assert [(row[0], row[1]) for row in rows] == [(0, 1), (1, 2)]
        first, second = (int(str(row[2])) for row in rows)
        assert 1 < first < second
        assert {row[3] for row in rows} == {s.name for s in FINAL if s.name.startswith("RCVD")}
        assert (memory.htlc_index, memory.htlc_updates) == (2, second)
        assert memory.htlc_numbers == {}, "what has ended is not kept in memory"
        world.alice.kernel.board.reset()
        again, _ = await persist.load(world.alice.store, world.alice.kernel.board)
        assert (again.htlc_index, again.htlc_updates) == (2, second)


async def test_a_restart_in_mid_payment_goes_on_with_its_number() -> None:
    async with World() as world:
        await world.give(world.alice)
        link(world.alice, world.bob)
        await world.settle()
        await world.open(world.alice, world.bob)
        request = await world.bob.invoice("a")
        world.bob.store.gate.clear()
        task = world.alice.pay(request)
        await world.settle()
        before = dict(world.alice.kernel.board.memory.htlc_numbers)
        assert list(before.values()) == [1]
        world.alice.kernel.board.reset()
        again, wishes = await persist.load(world.alice.store, world.alice.kernel.board)
        assert again.htlc_numbers == before
        world.alice.kernel.resume(wishes)
        world.bob.store.gate.set()
        task.cancel()
        await world.settle()


async def test_a_start_judges_htlcs_by_the_stored_height() -> None:
    async with World() as world:
        await world.opened()
        board = world.alice.kernel.board
        # As a core begins: it knows the time and nothing of the chain.
        board.ctx = replace(board.ctx, height=BlockHeight(0))
        memory, _ = await persist.load(world.alice.store, board)
        assert memory.height == BlockHeight(world.height)
        assert board.ctx.height == memory.height
