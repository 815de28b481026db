import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { note, useRecordedApp } from '../setup/recorded-app.ts'

const { app, sent, clear } = useRecordedApp()
beforeEach(clear)

/** Numbers from 1, read one by one. */
const numbers = (db: Pick<typeof app.db, 'selectFrom'>, count: number) =>
  db
    .selectFrom(sql<{ x: number }>`generate_series(1, ${sql.lit(count)})`.as('x'))
    .selectAll()
    .stream(1)

describe.each(speakers)('a page of a stream, around a block of $name', (speaker) => {
  test('carries the deferred RELEASE', async () => {
    await app.db.transaction().execute(async (trx) => {
      for await (const { x } of numbers(trx, 2)) {
        await speaker.block(app, () => note(app, `note ${x}`))
      }
    })
    expect(await app.rows()).toEqual(['note 1', 'note 2'])
    expect(sent()).toEqual([
      'begin',
      'select',
      'savepoint sp1',
      'insert',
      'release savepoint sp1',
      'savepoint sp1',
      'insert',
      'release savepoint sp1',
      'commit',
    ])
  })

  test('carries the deferred SAVEPOINT of the block that reads it', async () => {
    const boom = new Error('boom')
    await app.db.transaction().execute(async (trx) => {
      const pages = numbers(trx, 3)
      expect((await pages.next()).value).toEqual({ x: 1 })
      await note(app, 'kept')
      const failing = speaker.block(app, async () => {
        expect((await pages.next()).value).toEqual({ x: 2 })
        await note(app, 'taken back')
        throw boom
      })
      expect(await failureOf(failing)).toBe(boom)
      expect((await pages.next()).value).toEqual({ x: 3 })
      await pages.return?.()
    })
    expect(await app.rows()).toEqual(['kept'])
    expect(sent()).toEqual([
      'begin',
      'select',
      'insert',
      'savepoint sp1',
      'insert',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'commit',
    ])
  })
})
