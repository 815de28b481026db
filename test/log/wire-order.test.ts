import { sql } from 'drizzle-orm'
import { logQueries } from 'shared-connection'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'

const app = useApp()

let lines: string[] = []
let stop = (): void => {}
beforeEach(() => {
  lines = []
  stop = logQueries({
    write: (_, { sql: text, seq = 0 }) => {
      lines.push(text.split(' ', 1)[0] ?? '')
      sequence.push(seq)
    },
  })
})
afterEach(() => {
  stop()
  expect(sequence).toEqual(sequence.toSorted((one, other) => one - other))
  sequence = []
  app.transcript.clear()
})
let sequence: number[] = []

describe('the log has the order of the wire', () => {
  test('in a batch, whose COMMIT is answered with its statements', async () => {
    await app.shared.batch([
      app.orm.insert(notes).values({ text: 'a' }),
      app.db.insertInto('note').values({ text: 'b' }),
      app.orm.insert(notes).values({ text: 'c' }).returning(),
    ])
    expect(lines).toEqual(['begin', 'insert', 'insert', 'insert', 'commit'])
  })

  test('of statements of both layers that are issued together', async () => {
    await app.orm.transaction(async (tx) => {
      await Promise.all([
        app.db.selectFrom('note').selectAll().execute(),
        tx.execute(sql`update note set text = 'b'`),
        app.pool.query('delete from note'),
      ])
    })
    // which of the three leaves first is up to the layers
    expect(lines.toSorted()).toEqual(['begin', 'commit', 'delete', 'select', 'update'])
  })

  test('where one of them fails', async () => {
    const failing = app.orm.transaction((tx) =>
      Promise.all([
        tx.execute(sql`select 1`),
        tx.execute(sql`update note set text = 1/0`),
        app.pool.query('delete from note'),
      ]),
    )
    await expect(failing).rejects.toThrow()
    expect(lines.toSorted()).toEqual(['begin', 'delete', 'rollback', 'select', 'update'])
  })
})
