import { describe, expect, test } from 'vitest'
import { notes, replies, useApp } from '../setup/app.ts'
import { kyselySpeaker, speakers, worlds } from '../setup/worlds.ts'

const app = useApp()

describe('rows that are not committed yet', () => {
  test('Drizzle sees those of Kysely, and its foreign keys hold', async () => {
    await app.db.transaction().execute(async (trx) => {
      const { id } = await trx
        .insertInto('note')
        .values({ text: 'a' })
        .returning('id')
        .executeTakeFirstOrThrow()
      await app.orm.insert(replies).values({ note_id: id, text: 're' })
      expect(await app.orm.select().from(notes)).toEqual([{ id, text: 'a' }])
      expect(await app.rows()).toEqual([])
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert 1 re', 'select', 'commit'])
  })

  test('Kysely sees those of Drizzle, and its foreign keys hold', async () => {
    await app.orm.transaction(async (tx) => {
      const [note] = await tx.insert(notes).values({ text: 'a' }).returning()
      const note_id = note?.id ?? 0
      await app.db.insertInto('reply').values({ note_id, text: 're' }).execute()
      expect(await app.db.selectFrom('note').selectAll().execute()).toEqual([note])
      expect(await app.rows()).toEqual([])
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert 1 re', 'select', 'commit'])
  })
})

describe('handles', () => {
  test('a transaction of tx is a savepoint', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await tx.transaction(async (tx2) => {
        await tx2.insert(notes).values({ text: 'b' })
        await tx2.transaction(async (tx3) => {
          await tx3.insert(notes).values({ text: 'c' })
          await app.db.insertInto('note').values({ text: 'd' }).execute()
        })
      })
    })
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'savepoint sp2',
      'insert c',
      'insert d',
      'commit',
    ])
  })

  test('a transaction of trx is a savepoint, not an error', async () => {
    await app.db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'a' }).execute()
      await trx.transaction().execute(async (trx2) => {
        await trx2.insertInto('note').values({ text: 'b' }).execute()
        await trx2.transaction().execute(async (trx3) => {
          await trx3.insertInto('note').values({ text: 'c' }).execute()
          await app.orm.insert(notes).values({ text: 'd' })
        })
      })
    })
    expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'savepoint sp2',
      'insert c',
      'insert d',
      'commit',
    ])
  })

  test('the bridge names savepoints by depth, since Drizzle counts only its own handles', async () => {
    await app.orm.transaction(async (tx) => {
      await app.db.transaction().execute(async () => {
        // This is Drizzle's first savepoint, but the second one of the connection.
        await tx
          .transaction(async (inner) => {
            await inner.insert(notes).values({ text: 'inner' })
            throw new Error('boom')
          })
          .catch(() => {})
        await app.db.insertInto('note').values({ text: 'middle' }).execute()
      })
    })
    expect(await app.rows()).toEqual(['middle'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'savepoint sp2',
      'insert inner',
      'rollback to savepoint sp2',
      'release savepoint sp2',
      'insert middle',
      'commit',
    ])
  })

  test('an outer handle used in an inner block works in the inner savepoint', async () => {
    await app.orm.transaction(async (tx) => {
      const failing = app.db.transaction().execute(async () => {
        await tx.insert(notes).values({ text: 'through tx' })
        throw new Error('boom')
      })
      await expect(failing).rejects.toThrow('boom')
    })
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert through tx',
      'rollback to savepoint sp1',
      'commit',
    ])
  })
})

describe('siblings', () => {
  test.each(worlds)(
    '$name: savepoints one after the other use the same name',
    async ({ outer, inner }) => {
      await outer.block(app, async () => {
        await inner.block(app, () => inner.note(app, 'a'))
        await outer.block(app, () => outer.note(app, 'b'))
        await inner.block(app, () => inner.note(app, 'c'))
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'savepoint sp1',
        'insert a',
        'release savepoint sp1',
        'savepoint sp1',
        'insert b',
        'release savepoint sp1',
        'savepoint sp1',
        'insert c',
        'commit',
      ])
    },
  )

  test.each(worlds)('$name: savepoints side by side take turns', async ({ outer, inner }) => {
    await outer.block(app, async () => {
      const results = await Promise.allSettled([
        inner.block(app, async () => {
          await inner.note(app, 'a')
          throw new Error('boom')
        }),
        outer.block(app, () => outer.note(app, 'b')),
        inner.note(app, 'c'),
      ])
      expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    })
    expect((await app.rows()).toSorted()).toEqual(['b', 'c'])
    const lines = app.transcript.lines()
    const at = lines.indexOf('insert a')
    expect(lines.slice(at - 1, at + 2)).toEqual([
      'savepoint sp1',
      'insert a',
      'rollback to savepoint sp1',
    ])
  })
})

describe('what sends nothing', () => {
  test.each(worlds)('$name: blocks without statements', async ({ outer, inner }) => {
    await outer.block(app, () => inner.block(app, () => Promise.resolve()))
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test.each(worlds)('$name: blocks without statements that throw', async ({ outer, inner }) => {
    const boom = new Error('boom')
    const failing = outer.block(app, () => inner.block(app, () => Promise.reject(boom)))
    await expect(failing).rejects.toBe(boom)
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test.each(worlds)('$name: a savepoint without statements', async ({ outer, inner }) => {
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      await inner.block(app, () => Promise.resolve())
      await outer.note(app, 'b')
    })
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test.each(speakers)('$name: the first statement sends all deferred commands', async (speaker) => {
    await speaker.block(app, () =>
      kyselySpeaker.block(app, () => speaker.block(app, () => speaker.note(app, 'a'))),
    )
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'savepoint sp2',
      'insert a',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a'])
  })
})
