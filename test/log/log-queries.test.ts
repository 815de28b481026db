import { logQueries, type LogOptions } from 'shared-connection'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp()

let stop = (): void => {}
afterEach(() => stop())

/** Starts to log. Returns the lines, with fixed durations and transaction numbers. */
function log(options: Omit<LogOptions, 'write'> = {}): () => string {
  const lines: string[] = []
  stop = logQueries({ ...options, write: (line) => void lines.push(line) })
  return () => {
    const ids: string[] = []
    return lines
      .map((line) =>
        line
          .replace(
            /^(.{9}) *(\+?)\d+\.\d\dms/,
            (_, layer: string, plus: string) => `${layer}${`${plus}1.00ms`.padStart(9)}`,
          )
          .replace(/tx=(\d+)(\S*) */, (_, id: string, rest: string) => {
            if (!ids.includes(id)) ids.push(id)
            return `tx=${ids.indexOf(id) + 1}${rest}`.padEnd(15)
          }),
      )
      .join('\n')
  }
}

/** Asserts that no line contains a part of the secret. */
function expectSecret(lines: string): void {
  expect(lines).not.toContain('s3cret')
}

describe('logQueries', () => {
  test('prints a line for each statement of every layer', async () => {
    const lines = log()
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await app.db.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'b' }).execute()
      })
      await app.pool.query(`select *
        from note`)
    })
    await app.db.selectFrom('note').selectAll().execute()
    expect(lines()).toMatchInlineSnapshot(`
      "drizzle    +1.00ms          tx=1/1         TRANSACTION begin
      drizzle     1.00ms rows=1   tx=1/1         insert into "note" ("id", "text") values (default, $1)
      kysely     +1.00ms          tx=1/2(sp1)    TRANSACTION savepoint sp1
      kysely      1.00ms rows=1   tx=1/2(sp1)    insert into "note" ("text") values ($1)
      kysely     +1.00ms          tx=1/2(sp1)    TRANSACTION release savepoint sp1
      pg          1.00ms rows=2   tx=1/1         select * from note
      drizzle     1.00ms          tx=1/1         TRANSACTION commit
      kysely      1.00ms rows=2                  select * from "note""
    `)
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'release savepoint sp1',
      'select',
      'commit',
      'select',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('prints the error code of a failed statement, and no values', async () => {
    const lines = log()
    await app.db.insertInto('note').values({ text: 's3cret' }).execute()
    await app.orm
      .transaction(async (tx) => {
        await tx.insert(notes).values({ text: 's3cret' })
      })
      .catch(() => {})
    await app.pool.query("select 's3cret'::int where $1 = 1", [1]).catch(() => {})
    expect(lines().replace("'s3cret'", "'(literal)'")).toMatchInlineSnapshot(`
      "kysely      1.00ms rows=1                  insert into "note" ("text") values ($1)
      drizzle    +1.00ms          tx=1/1         TRANSACTION begin
      drizzle     1.00ms          tx=1/1         insert into "note" ("id", "text") values (default, $1) ✗ 23505
      drizzle     1.00ms          tx=1/1         TRANSACTION rollback
      pg          1.00ms                         select '(literal)'::int where $1 = 1 ✗ 22P02"
    `)
    expectSecret(lines().replace("'s3cret'", "'(literal)'"))
    expect(app.transcript.lines()).toEqual([
      'insert s3cret',
      'begin',
      'insert s3cret',
      'rollback',
      'select 1',
    ])
    expect(await app.rows()).toEqual(['s3cret'])
  })

  test('prints values and messages on request', async () => {
    const lines = log({ parameters: true })
    const values = ['a', 1, null, true, 2n, new Date(0), Buffer.from('bytes'), { a: [1] }]
    await app.pool.query('select $1, $2, $3, $4, $5, $6, $7::bytea, $8::json', values)
    await app.db.insertInto('note').values({ text: 'a' }).execute()
    await app.db
      .insertInto('note')
      .values({ text: 'a' })
      .execute()
      .catch(() => {})
    expect(lines()).toMatchInlineSnapshot(`
      "pg          1.00ms rows=1                  select $1, $2, $3, $4, $5, $6, $7::bytea, $8::json -- "a", 1, null, true, 2n, 1970-01-01T00:00:00.000Z, <5 bytes>, { a: [ 1 ] }
      kysely      1.00ms rows=1                  insert into "note" ("text") values ($1) -- "a"
      kysely      1.00ms                         insert into "note" ("text") values ($1) -- "a" ✗ 23505 duplicate key value violates unique constraint "note_text_key""
    `)
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toHaveLength(3)
  })

  test('prints a line for values that cannot be printed', async () => {
    const written: string[] = []
    stop = logQueries({ parameters: true, write: (line) => void written.push(line) })
    const circular: Record<string, unknown> = { toPostgres: () => 'text' }
    circular['self'] = circular
    const first = await app.pool.query('select $1::text as text', [circular])
    const second = await app.pool.query('select $1::bigint[] as numbers', [[1n, 2n]])
    expect(first.rows).toEqual([{ text: 'text' }])
    expect(second.rows).toEqual([{ numbers: ['1', '2'] }])
    expect(app.transcript.lines()).toHaveLength(2)
    expect(written.filter((line) => line.includes('select $1'))).toHaveLength(2)
  })

  test('passes the event with the line', async () => {
    const events: unknown[] = []
    stop = logQueries({ write: (_line, event) => void events.push(event) })
    await app.db.insertInto('note').values({ text: 'a' }).execute()
    expect(events).toEqual(app.transcript.events())
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['insert a'])
  })

  test('prints to standard output by default', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true)
    try {
      stop = logQueries()
      await app.pool.query('select 42')
      expect(write).toHaveBeenCalledExactlyOnceWith(
        expect.stringMatching(/^pg +\d+\.\d\dms rows=1 +select 42\n$/),
      )
    } finally {
      write.mockRestore()
    }
    expect(app.transcript.lines()).toEqual(['select'])
  })

  test('is stopped by the function that it returns, which can be called twice', async () => {
    const first = log()
    const stopFirst = stop
    const second = log()
    await app.pool.query('select 1')
    stopFirst()
    stopFirst()
    await app.pool.query('select 2')
    stop()
    await app.pool.query('select 3')
    expect(first().split('\n')).toHaveLength(1)
    expect(second().split('\n')).toHaveLength(2)
    expect(app.transcript.lines()).toEqual(['select', 'select', 'select'])
  })

  test.each(speakers)('whose write throws fails no query of $name', async (speaker) => {
    const emitWarning = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    try {
      stop = logQueries({
        write: () => {
          throw new Error('the disk is full')
        },
      })
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await speaker.block(app, () => speaker.note(app, 'b'))
      })
      expect(emitWarning).toHaveBeenCalledWith(
        expect.objectContaining({ message: 'the disk is full' }),
      )
    } finally {
      emitWarning.mockRestore()
    }
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a', 'b'])
  })
})

describe('with a name, the database', () => {
  const named = useApp({ shared: { name: 'main' } })

  test('stands in front of each line', async () => {
    const lines: string[] = []
    stop = logQueries({ write: (line) => void lines.push(line) })
    await named.pool.query('select 1')
    expect(lines).toEqual([expect.stringMatching(/^main pg +\d+\.\d\dms rows=1 +select 1$/)])
    expect(named.transcript.lines()).toEqual(['select'])
  })
})
