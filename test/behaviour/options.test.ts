import { type AccessMode, type IsolationLevel, type TransactionModes } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { type App, notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { kyselySpeaker, type Speaker, speakers } from '../setup/worlds.ts'

const app = useApp()

/** The way in which each layer takes the options of a transaction. */
interface Opener {
  readonly name: Speaker['name']
  readonly open: (app: App, modes: TransactionModes, fn: () => Promise<unknown>) => Promise<unknown>
}

const openers: readonly Opener[] = [
  { name: 'drizzle', open: ({ orm }, modes, fn) => orm.transaction(() => fn(), modes) },
  {
    name: 'kysely',
    open: ({ db }, { isolationLevel, accessMode }, fn) => {
      let builder = db.transaction()
      if (isolationLevel) builder = builder.setIsolationLevel(isolationLevel)
      if (accessMode) builder = builder.setAccessMode(accessMode)
      return builder.execute(() => fn())
    },
  },
  { name: 'shared', open: ({ shared }, modes, fn) => shared.transaction(() => fn(), modes) },
]

const settingsNow = async (): Promise<string> => {
  const { rows } = await app.pool.query<{ now: string }>(
    `select current_setting('transaction_isolation') || ', ' ||
       current_setting('transaction_read_only') || ', ' ||
       current_setting('transaction_deferrable') as now`,
  )
  return rows[0]?.now ?? ''
}

const levels: readonly IsolationLevel[] = [
  'read uncommitted',
  'read committed',
  'repeatable read',
  'serializable',
]

describe.each(openers)('options of $name', ({ open }) => {
  test.each(levels)('isolation level %s', async (isolationLevel) => {
    await open(app, { isolationLevel }, async () => {
      expect(await settingsNow()).toBe(`${isolationLevel}, off, off`)
      expect(app.shared.current?.isolationLevel).toBe(isolationLevel)
      await kyselySpeaker.note(app, 'a')
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      `begin isolation level ${isolationLevel}`,
      'select',
      'insert a',
      'commit',
    ])
  })

  test('read only holds for every layer', async () => {
    for (const speaker of speakers) {
      const failure = await failureOf(
        open(app, { accessMode: 'read only' }, async () => {
          expect(app.shared.current?.accessMode).toBe('read only')
          await speaker.note(app, 'a')
        }),
      )
      expect(failure).toMatchObject({ code: '25006' })
    }
    expect(await app.rows()).toEqual([])
    const once = ['begin read only', 'insert a', 'rollback']
    expect(app.transcript.lines()).toEqual([...once, ...once, ...once])
  })

  test('read write, requested explicitly', async () => {
    await open(app, { accessMode: 'read write' }, () => kyselySpeaker.note(app, 'a'))
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin read write', 'insert a', 'commit'])
  })

  test('a savepoint inside has the level of its transaction', async () => {
    await open(app, { isolationLevel: 'serializable' }, () =>
      app.db.transaction().execute(async () => {
        expect(app.shared.current?.isolationLevel).toBe('serializable')
        await kyselySpeaker.note(app, 'a')
      }),
    )
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual([
      'begin isolation level serializable',
      'savepoint sp1',
      'insert a',
      'commit',
    ])
  })

  test.each(['nope', 'serializable; drop table note; --', "serializable', 'x", 'commit;'])(
    'an isolation level %j is refused before any SQL',
    async (level) => {
      const failure = await failureOf(
        // Kysely checks the words itself, and throws.
        Promise.resolve().then(() =>
          open(app, { isolationLevel: level as IsolationLevel }, () =>
            kyselySpeaker.note(app, 'a'),
          ),
        ),
      )
      expect(failure.message).toMatch(/isolation ?level/i)
      expect(app.transcript.lines()).toEqual([])
      expect(await app.rows()).toEqual([])
    },
  )

  test('an unknown access mode is refused before any SQL', async () => {
    const accessMode = 'read only; drop table note' as AccessMode
    const failure = await failureOf(
      Promise.resolve().then(() => open(app, { accessMode }, () => kyselySpeaker.note(app, 'a'))),
    )
    expect(failure.message).toMatch(/access ?mode|read only; drop table note/i)
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })
})

describe.each(openers.filter(({ name }) => name !== 'kysely'))(
  'deferrable of $name',
  ({ open }) => {
    test.each([true, false])('deferrable: %s', async (deferrable) => {
      const modes = { isolationLevel: 'serializable', accessMode: 'read only', deferrable } as const
      await open(app, modes, async () => {
        expect(await settingsNow()).toBe(`serializable, on, ${deferrable ? 'on' : 'off'}`)
      })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines()).toEqual([
        `begin isolation level serializable read only ${deferrable ? 'deferrable' : 'not deferrable'}`,
        'select',
        'commit',
      ])
    })
  },
)

test('SET TRANSACTION before the first statement counts as an option', async () => {
  await app.orm.transaction(async (tx) => {
    await app.pool.query('set transaction isolation level repeatable read, read only')
    expect(app.shared.current).toMatchObject({
      isolationLevel: 'repeatable read',
      accessMode: 'read only',
    })
    expect(await settingsNow()).toBe('repeatable read, on, off')
    const failure = await failureOf(
      app.db
        .transaction()
        .setAccessMode('read write')
        .execute(() => Promise.resolve()),
    )
    expect(failure.name).toBe('TransactionOptionError')
    await tx.select().from(notes)
  })
  expect(await app.rows()).toEqual([])
  expect(app.transcript.lines()).toEqual([
    'begin',
    'set transaction isolation level repeatable read, read only',
    'select',
    'select',
    'commit',
  ])
})

describe.each(['release', 'rollback to'] as const)(
  'SET TRANSACTION in a manual savepoint',
  (end) => {
    const write = (accessMode: AccessMode) =>
      app.orm.transaction((tx) => tx.insert(notes).values({ text: 'a' }), { accessMode })

    test(`ends with ${end}`, async () => {
      const trx = await app.db.startTransaction().execute()
      const marked = await trx.savepoint('a').execute()
      await app.shared.within(trx, async () => {
        await app.pool.query('set transaction read only')
        expect(await settingsNow()).toBe('read committed, on, off')
        expect((await failureOf(write('read write'))).name).toBe('TransactionOptionError')

        if (end === 'release') await marked.releaseSavepoint('a').execute()
        else await marked.rollbackToSavepoint('a').execute()
        expect(await settingsNow()).toBe('read committed, off, off')
        expect(await failureOf(write('read only'))).toMatchObject({ code: '25006' })
        await write('read write')
      })
      await trx.commit().execute()
      expect(await app.rows()).toEqual(['a'])
      expect(app.transcript.lines().filter((line) => line.startsWith('set'))).toEqual([
        'set transaction read only',
        'set transaction read only',
      ])
    })
  },
)
