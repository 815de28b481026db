import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'

const app = useApp({ pool: { max: 1 } })
const INSERT = 'insert into note (text) values ($1)'

const unserialisable = {
  toPostgres(): never {
    throw new Error('no such value')
  },
}

describe.each(speakers)('the first statement in a transaction of $name', (speaker) => {
  test('with a value that cannot be serialised is not sent, and BEGIN is piggybacked on the next', async () => {
    await speaker.block(app, async () => {
      const error = await failureOf(app.pool.query(INSERT, [unserialisable]))
      expect(error.message).toBe('no such value')
      await speaker.note(app, 'a')
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('and the only other one are not sent if neither value can be serialised', async () => {
    await speaker.block(app, async () => {
      await failureOf(app.pool.query(INSERT, [unserialisable]))
      await failureOf(app.pool.query({ name: 'bad', text: INSERT, values: [unserialisable] }))
    })
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  })

  test('with such a value in a savepoint leaves BEGIN and SAVEPOINT for the next', async () => {
    await speaker.block(app, () =>
      speaker.block(app, async () => {
        await failureOf(app.pool.query(INSERT, [unserialisable]))
        await speaker.note(app, 'a')
      }),
    )
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert a', 'commit'])
  })

  test('with values that are no array is refused as by pg', async () => {
    await speaker.block(app, async () => {
      const error = await failureOf(app.pool.query({ text: INSERT, values: 'a' } as never))
      expect(error.message).toContain('must be an array')
      await speaker.note(app, 'a')
    })
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
  })

  test('of several commands follows BEGIN', async () => {
    await speaker.block(app, async () => {
      await app.pool.query(
        `insert into note (text) values ('a'); insert into note (text) values ('b')`,
      )
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'commit'])
  })

  test('of several commands fails as a whole if one of them fails', async () => {
    const error = await failureOf(
      speaker.block(app, () => app.pool.query(`insert into note (text) values ('a'); select 1/0`)),
    )
    expect(error).toMatchObject({ code: '22012' })
    await speaker.note(app, 'next')
    expect(await app.rows()).toEqual(['next'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'rollback', 'insert next'])
  })

  test.each(['', ';', '-- nothing', ' /* nothing */ ; -- nothing'])(
    'without a command (%j) is answered with nothing',
    async (text) => {
      await speaker.block(app, async () => {
        expect((await app.pool.query(text)).rows).toEqual([])
        await speaker.note(app, 'a')
      })
      expect(await app.rows()).toEqual(['a'])
      expect(app.transcript.lines().filter((line) => /^(begin|insert|commit)/.test(line))).toEqual([
        'begin',
        'insert a',
        'commit',
      ])
    },
  )

  test('may end with ; and a comment', async () => {
    await speaker.block(app, () =>
      app.pool.query(`insert into note (text) values ('a;b') ; -- the end; really`),
    )
    expect(await app.rows()).toEqual(['a;b'])
    expect(app.transcript.lines()).toEqual(['begin', 'insert', 'commit'])
  })

  test('returns its rows as arrays if asked to', async () => {
    await speaker.block(app, async () => {
      const { rows } = await app.pool.query({ text: `select 1 as a, 2 as a`, rowMode: 'array' })
      expect(rows).toEqual([[1, 2]])
    })
    expect(app.transcript.lines()).toEqual(['begin', 'select', 'commit'])
    expect(await app.rows()).toEqual([])
  })

  test('that is a COPY FROM STDIN without data fails its transaction, and not the next one', async () => {
    const error = await failureOf(
      speaker.block(app, () => app.pool.query('copy note (text) from stdin')),
    )
    expect(error).toMatchObject({ code: '57014' })
    await speaker.block(app, () => speaker.note(app, 'next'))
    expect(await app.rows()).toEqual(['next'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'copy',
      'rollback',
      'begin',
      'insert next',
      'commit',
    ])
  })

  test('that runs into its own timeout is rolled back before the client goes on', async () => {
    const slow = {
      text: `insert into note (text) select 'slow' from pg_sleep(0.2)`,
      query_timeout: 20,
    }
    await expect(speaker.block(app, () => app.pool.query(slow))).rejects.toThrow(
      'Query read timeout',
    )
    await speaker.block(app, () => speaker.note(app, 'next'))
    expect(await app.rows()).toEqual(['next'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert',
      'rollback',
      'begin',
      'insert next',
      'commit',
    ])
  })

  test('of a savepoint that runs into its own timeout is rolled back to the savepoint', async () => {
    const slow = {
      text: `insert into note (text) select 'slow' from pg_sleep(0.2)`,
      query_timeout: 20,
    }
    await speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await expect(speaker.block(app, () => app.pool.query(slow))).rejects.toThrow(
        'Query read timeout',
      )
      await speaker.note(app, 'b')
    })
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toContain('rollback to savepoint sp1')
  })
})
