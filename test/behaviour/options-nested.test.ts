import type { TransactionModes } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { type App, notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

/** Nested calls with options, one of each kind. */
interface Nested {
  readonly name: string
  readonly open: (app: App, modes: TransactionModes, fn: () => Promise<unknown>) => Promise<unknown>
}

const nested: readonly Nested[] = [
  { name: 'orm.transaction()', open: ({ orm }, modes, fn) => orm.transaction(() => fn(), modes) },
  {
    name: 'tx.transaction()',
    open: ({ orm, shared }, modes, fn) =>
      // Drizzle's types have no options here, and Drizzle itself ignores them.
      shared.transaction(({ tx }) =>
        (tx as unknown as Pick<typeof orm, 'transaction'>).transaction(() => fn(), modes),
      ),
  },
  {
    name: 'db.transaction()',
    open: ({ db }, { isolationLevel, accessMode }, fn) => {
      let builder = db.transaction()
      if (isolationLevel) builder = builder.setIsolationLevel(isolationLevel)
      if (accessMode) builder = builder.setAccessMode(accessMode)
      return builder.execute(() => fn())
    },
  },
  {
    name: 'shared.transaction()',
    open: ({ shared }, modes, fn) => shared.transaction(() => fn(), modes),
  },
]

const app = useApp()

describe.each(speakers)('inside a transaction of $name', (outer) => {
  describe.each(nested)('$name', ({ name, open }) => {
    const depth = name === 'tx.transaction()' ? 2 : 1
    const savepoints = Array.from({ length: depth }, (_, at) => `savepoint sp${at + 1}`)

    test('read only is honoured, and ends with the savepoint', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        const failure = await failureOf(
          open(app, { accessMode: 'read only' }, async () => {
            expect(app.shared.current?.accessMode).toBe('read only')
            await outer.note(app, 'b')
          }),
        )
        expect(failure).toMatchObject({ code: '25006' })
        await open(app, { accessMode: 'read only' }, () => app.orm.select().from(notes))
        await outer.note(app, 'c')
      })
      expect(await app.rows()).toEqual(['a', 'c'])
      const lines = app.transcript.lines()
      expect(lines.slice(0, depth + 4)).toEqual([
        'begin',
        'insert a',
        ...savepoints,
        'set transaction read only',
        'insert b',
      ])
      expect(lines.filter((line) => line === 'set transaction read only')).toHaveLength(2)
    })

    test('the isolation level of the transaction is accepted, any other is refused', async () => {
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await open(app, { isolationLevel: 'read committed' }, () => outer.note(app, 'b'))
        const failure = await failureOf(
          open(app, { isolationLevel: 'serializable' }, () => outer.note(app, 'c')),
        )
        expect(failure.name).toBe('TransactionOptionError')
        expect(failure.message).toContain('serializable')
        expect(failure.message).toContain('read committed')
        await outer.note(app, 'd')
      })
      expect(await app.rows()).toEqual(['a', 'b', 'd'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        ...savepoints,
        'insert b',
        // RELEASE of the outermost savepoint releases those inside it.
        'release savepoint sp1',
        'insert d',
        'commit',
      ])
    })
  })

  test('an option refused inside rolls back everything, unless the error is caught', async () => {
    const failing = outer.block(app, async () => {
      await outer.note(app, 'a')
      await app.orm.transaction(() => outer.note(app, 'b'), { isolationLevel: 'serializable' })
    })
    expect((await failureOf(failing)).name).toBe('TransactionOptionError')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  })
})

test('read write inside read only is refused', async () => {
  await app.orm.transaction(
    async (tx) => {
      const failing = app.shared.transaction(() => {}, { accessMode: 'read write' })
      expect((await failureOf(failing)).name).toBe('TransactionOptionError')
      await app.shared.transaction(() => tx.select().from(notes), { accessMode: 'read only' })
    },
    { accessMode: 'read only' },
  )
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual(['begin read only', 'savepoint sp1', 'select', 'commit'])
})

test('deferrable inside is refused', async () => {
  await app.orm.transaction(async (tx) => {
    await tx.insert(notes).values({ text: 'a' })
    const failing = app.shared.transaction(() => {}, { deferrable: true })
    expect((await failureOf(failing)).name).toBe('TransactionOptionError')
  })
  expect(await app.rows()).toEqual(['a'])
  expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
})

test('a setting made in a savepoint holds until the transaction ends', async () => {
  const timeout = async (): Promise<unknown> =>
    (await app.pool.query(`select current_setting('lock_timeout') as timeout`)).rows[0]
  await app.orm.transaction(async () => {
    await app.db.transaction().execute(() => app.pool.query(`set local lock_timeout = '7s'`))
    expect(await timeout()).toEqual({ timeout: '7s' })
    const failing = app.db.transaction().execute(async () => {
      await app.pool.query(`set local lock_timeout = '8s'`)
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await timeout()).toEqual({ timeout: '7s' })
  })
  expect(await timeout()).toEqual({ timeout: '0' })
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines().filter((line) => line !== 'select')).toEqual([
    'begin',
    'savepoint sp1',
    'set',
    'release savepoint sp1',
    'savepoint sp1',
    'set',
    'rollback to savepoint sp1',
    'release savepoint sp1',
    'commit',
  ])
})

describe('defaultIsolationLevel', () => {
  const strict = useApp({ shared: { defaultIsolationLevel: 'serializable' } })

  test('is the level of an outer transaction that has requested none', async () => {
    await strict.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await strict.shared.transaction(() => tx.insert(notes).values({ text: 'b' }), {
        isolationLevel: 'serializable',
      })
      const failing = strict.shared.transaction(() => {}, { isolationLevel: 'read committed' })
      expect((await failureOf(failing)).name).toBe('TransactionOptionError')
    })
    expect(await strict.rows()).toEqual(['a', 'b'])
    expect(strict.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
  })
})
