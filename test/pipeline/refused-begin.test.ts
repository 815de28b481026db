import { describe, expect, test } from 'vitest'
import { worlds } from '../setup/worlds.ts'
import { expectSound, type Refusal, useAccounts } from './accounts.ts'

// What the server answers to a BEGIN is told in the same way, whether that rode or not: the same
// error, the same states of the frames, the same log.

const accounts = useAccounts()

const stories: readonly Refusal[] = [
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

describe.each(worlds)('$name', (world) => {
  test.each(stories)('$name that is refused is told as if it were sent alone', async (story) => {
    const both = await accounts.of(story.command, (app, note) => story.run(app, world, note))
    // of the savepoint, nobody has heard where BEGIN was asked for first
    expect({ ...both.ofRiding, savepoints: [] }).toEqual({ ...both.ofLone, savepoints: [] })
    await expectSound(accounts, world, both)
  })
})
