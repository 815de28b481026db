import type { TransactionOptions } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'

const app = useApp()
const boom = new Error('boom')

const block = (
  propagation: NonNullable<TransactionOptions['propagation']>,
  speaker: Speaker,
  failure?: Error,
) =>
  app.shared.transaction(
    async ({ frame }) => {
      await speaker.note(app, 'inner')
      if (failure) throw failure
      return frame.depth
    },
    { propagation },
  )

describe.each(speakers)('inside a transaction of $name', (outer) => {
  test('nested is a savepoint', async () => {
    const depth = await outer.block(app, async () => {
      await outer.note(app, 'outer')
      return block('nested', outer)
    })
    expect(depth).toBe(2)
    expect(await app.rows()).toEqual(['outer', 'inner'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'savepoint sp1',
      'insert inner',
      'commit',
    ])
  })

  test.each(['required', 'mandatory'] as const)('%s joins it', async (propagation) => {
    const depth = await outer.block(app, async () => {
      await outer.note(app, 'outer')
      return block(propagation, outer)
    })
    expect(depth).toBe(1)
    expect(await app.rows()).toEqual(['outer', 'inner'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert outer', 'insert inner', 'commit'])
  })

  test.each(['required', 'mandatory'] as const)(
    '%s that fails makes it rollback-only, even if the error is caught',
    async (propagation) => {
      const failing = outer.block(app, async () => {
        await outer.note(app, 'outer')
        await expect(block(propagation, outer, boom)).rejects.toBe(boom)
      })
      expect(await failureOf(failing)).toMatchObject({ name: 'RollbackOnlyError', cause: boom })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual(['begin', 'insert outer', 'insert inner', 'rollback'])
    },
  )

  test('required that fails, uncaught, rejects with the error itself', async () => {
    await expect(outer.block(app, () => block('required', outer, boom))).rejects.toBe(boom)
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert inner', 'rollback'])
  })

  test('required inside a savepoint makes only that savepoint rollback-only', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'outer')
      const failing = outer.block(app, async () => {
        await expect(block('required', outer, boom)).rejects.toBe(boom)
      })
      expect(await failureOf(failing)).toMatchObject({ name: 'RollbackOnlyError', cause: boom })
    })
    expect(await app.rows()).toEqual(['outer'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'savepoint sp1',
      'insert inner',
      'rollback to savepoint sp1',
      'commit',
    ])
  })

  test('requires-new is an independent transaction', async () => {
    const failing = outer.block(app, async () => {
      await outer.note(app, 'outer')
      expect(await block('requires-new', outer)).toBe(1)
      expect(await app.rows()).toEqual(['inner'])
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await app.rows()).toEqual(['inner'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'begin',
      'insert inner',
      'commit',
      'rollback',
    ])
    expect(new Set(app.transcript.events().map(({ connection }) => connection)).size).toBe(2)
  })

  test('requires-new that fails does not affect the transaction around it', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'outer')
      await expect(block('requires-new', outer, boom)).rejects.toBe(boom)
      await outer.note(app, 'outer again')
    })
    expect(await app.rows()).toEqual(['outer', 'outer again'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'begin',
      'insert inner',
      'rollback',
      'insert outer again',
      'commit',
    ])
  })

  test('handles of the outer transaction work in that one inside requires-new', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'outer' })
      await app.shared
        .transaction(
          async () => {
            await outer.note(app, 'new')
            await tx.insert(notes).values({ text: 'outer too' })
            throw boom
          },
          { propagation: 'requires-new' },
        )
        .catch(() => {})
    })
    expect(await app.rows()).toEqual(['outer', 'outer too'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })

  test('supports joins it, and makes it rollback-only', async () => {
    const failing = outer.block(app, async () => {
      const inside = app.shared.transaction(
        async ({ frame }) => {
          expect(frame?.depth).toBe(1)
          await outer.note(app, 'inner')
          throw boom
        },
        { propagation: 'supports' },
      )
      await expect(inside).rejects.toBe(boom)
    })
    expect(await failureOf(failing)).toMatchObject({ name: 'RollbackOnlyError', cause: boom })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert inner', 'rollback'])
  })

  test('not-supported runs outside it', async () => {
    const failing = outer.block(app, async () => {
      await outer.note(app, 'outer')
      await app.shared.transaction(
        async ({ frame }) => {
          expect([frame, app.shared.inTransaction]).toEqual([undefined, false])
          await outer.note(app, 'inner')
        },
        { propagation: 'not-supported' },
      )
      expect(app.shared.inTransaction).toBe(true)
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await app.rows()).toEqual(['inner'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert outer', 'insert inner', 'rollback'])
  })

  test('never is refused', async () => {
    await outer.block(app, async () => {
      await outer.note(app, 'outer')
      const failing = app.shared.transaction(() => outer.note(app, 'x'), { propagation: 'never' })
      expect((await failureOf(failing)).name).toBe('PropagationError')
    })
    expect(await app.rows()).toEqual(['outer'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert outer', 'commit'])
  })
})

describe.each(speakers)('outside a transaction, with $name', (speaker) => {
  test.each(['nested', 'required', 'requires-new'] as const)(
    '%s opens a transaction',
    async (propagation) => {
      expect(await block(propagation, speaker)).toBe(1)
      expect(await app.rows()).toEqual(['inner'])
      expect(app.transcript.lines()).toEqual(['begin', 'insert inner', 'commit'])
    },
  )

  test('mandatory is refused', async () => {
    expect((await failureOf(block('mandatory', speaker))).name).toBe('PropagationError')
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test.each(['supports', 'not-supported', 'never'] as const)(
    '%s runs without a transaction',
    async (wanted) => {
      const seen = await app.shared.transaction(
        async ({ frame }) => {
          await speaker.note(app, 'inner')
          return [frame, app.shared.inTransaction]
        },
        { propagation: wanted },
      )
      expect(seen).toEqual([undefined, false])
      expect(await app.rows()).toEqual(['inner'])
      expect(app.transcript.lines()).toEqual(['insert inner'])
    },
  )
})

test('an unknown propagation is refused, with the list of the known ones', async () => {
  const propagation = 'sometimes' as 'nested'
  const failure = await failureOf(app.shared.transaction(() => {}, { propagation }))
  expect(failure.name).toBe('InvalidArgumentError')
  expect(failure.message).toMatch(/sometimes.*nested, required, requires-new/)
  expect(app.transcript.lines()).toEqual([])
  expect(await app.rows()).toEqual([])
})

test('an option that a joined block cannot have is refused', async () => {
  await app.orm.transaction(async () => {
    const modes = [{ isolationLevel: 'serializable' }, { accessMode: 'read only' }] as const
    for (const mode of modes) {
      const failing = app.shared.transaction(() => {}, { propagation: 'required', ...mode })
      expect((await failureOf(failing)).name).toBe('TransactionOptionError')
    }
  })
  expect(app.transcript.lines()).toEqual([])
  expect(await app.rows()).toEqual([])
})
