import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { worlds } from '../setup/worlds.ts'
import { type Refusal, expectSound, told, useAccounts } from './accounts.ts'

// The answer of the server to a BEGIN or a SAVEPOINT is reported in the same way, whether the command
// was deferred or not: the same error, the same states of the frames, the same log.

const accounts = useAccounts()

const begins: readonly Refusal[] = [
  {
    name: 'a BEGIN',
    command: 'begin',
    run: (app, { outer }) => outer.block(app, () => outer.note(app, 'a')),
  },
  {
    name: 'a BEGIN, with a savepoint behind it',
    command: 'begin',
    run: (app, { outer, inner }) =>
      outer.block(app, () => inner.block(app, () => inner.note(app, 'a'))),
  },
]

const savepoints: readonly Refusal[] = [
  {
    name: 'a SAVEPOINT whose block is not caught',
    command: 'savepoint sp1',
    run: (app, { outer, inner }) =>
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner.block(app, () => inner.note(app, 'b'))
      }),
  },
  {
    name: 'a SAVEPOINT whose block is caught',
    command: 'savepoint sp1',
    run: (app, { outer, inner }, note) =>
      outer.block(app, async () => {
        await outer.note(app, 'a')
        const failure = await failureOf(inner.block(app, () => inner.note(app, 'b')))
        note(told(failure))
        note(app.shared.current?.state)
      }),
  },
  {
    name: 'a SAVEPOINT whose block is caught, and a block behind it',
    command: 'savepoint sp1',
    run: (app, { outer, inner }, note) =>
      outer.block(app, async () => {
        await outer.note(app, 'a')
        await failureOf(inner.block(app, () => inner.note(app, 'b')))
        note((await failureOf(inner.block(app, async () => note('ran')))).name)
      }),
  },
  {
    name: 'a SAVEPOINT in a savepoint',
    command: 'savepoint sp2',
    run: (app, { outer, inner }, note) =>
      outer.block(app, async () => {
        await outer.note(app, 'a')
        const nested = inner.block(app, async () => {
          await inner.note(app, 'b')
          const failure = await failureOf(outer.block(app, () => outer.note(app, 'c')))
          note(told(failure))
          note(app.shared.current?.state)
          throw failure
        })
        note(told(await failureOf(nested)))
        note(app.shared.current?.state)
        await outer.note(app, 'd')
      }),
  },
]

describe.each(worlds)('$name', (world) => {
  test.each(begins)('$name that is refused is reported as if it were sent alone', async (story) => {
    const both = await accounts.of(story.command, (app, note) => story.run(app, world, note))
    // if BEGIN was sent first, nobody has asked for the savepoint
    expect({ ...both.ofDeferred, savepoints: [] }).toEqual({ ...both.ofImmediate, savepoints: [] })
    await expectSound(accounts, world, both)
  })

  test.each(savepoints)(
    '$name that is refused is reported as if it were sent alone',
    async (story) => {
      const both = await accounts.of(story.command, (app, note) => story.run(app, world, note))
      expect(both.ofDeferred).toEqual(both.ofImmediate)
      await expectSound(accounts, world, both)
    },
  )
})
