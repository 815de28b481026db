import { describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { worlds } from '../setup/worlds.ts'
import { expectSound, type Refusal, told, useAccounts } from './accounts.ts'

// What the server answers to a SAVEPOINT is told in the same way, whether that rode or not: the same
// error, the same states of the frames, the same log.

const accounts = useAccounts()

const stories: readonly Refusal[] = [
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
  test.each(stories)('$name that is refused is told as if it were sent alone', async (story) => {
    const both = await accounts.of(story.command, (app, note) => story.run(app, world, note))
    expect(both.ofRiding).toEqual(both.ofLone)
    await expectSound(accounts, world, both)
  })
})
