import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import type { PoolClient } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { gate } from '../setup/gate.ts'
import { speakers } from '../setup/worlds.ts'
import { ways } from './client-ways.ts'

const app = useApp({ pool: { max: 1 } })
const boom = new Error('boom')

/** Copies notes into the table, from whatever makes them. */
async function fill(client: PoolClient, notes: Iterable<string> | AsyncIterable<string>) {
  const stream = client.query(copyFrom('copy note (text) from stdin'))
  await pipeline(Readable.from(notes), stream)
  return stream.rowCount
}

/** Copies the notes out of the table. */
async function read(client: PoolClient): Promise<string[]> {
  const stream = client.query(copyTo('copy (select text from note order by id) to stdout'))
  const text = Buffer.concat(await stream.toArray()).toString()
  return text.split('\n').slice(0, -1)
}

/** Makes one note, and fails. */
async function* failingNotes(): AsyncGenerator<string> {
  yield 'copied\n'
  throw boom
}

/** The server refuses the first after all data, the second before any data. */
const refused = [
  { name: 'data that violate a constraint', sql: 'copy note (text) from stdin', code: '23505' },
  { name: 'a table that does not exist', sql: 'copy nowhere from stdin', code: '42P01' },
]

/** The server process that the pool's only client talks to. */
async function sessionOf(): Promise<unknown> {
  return (await app.pool.query('select pg_backend_pid() as pid')).rows[0]
}

describe.each(ways)('COPY through $name', (way) => {
  test('works outside a transaction, in both directions', async () => {
    expect(await way.lend(app, (client) => fill(client, ['a\n', 'b\n']))).toBe(2)
    expect(await way.lend(app, read)).toEqual(['a', 'b'])
    expect(await app.rows()).toEqual(['a', 'b'])
    expect(app.transcript.lines()).toEqual(way.heard(['(copy)', '(copy)']))
  })

  test('whose producer fails outside a transaction copies nothing, and the client stays', async () => {
    const session = await sessionOf()
    const error = await failureOf(way.lend(app, (client) => fill(client, failingNotes())))
    expect(error).toBe(boom)
    expect(await sessionOf()).toEqual(session)
    expect(await app.rows()).toEqual([])
  })

  test.each(refused)(
    'of $name is refused outside a transaction, and the client stays',
    async ({ sql, code }) => {
      const session = await sessionOf()
      const copying = way.lend(app, (client) =>
        pipeline(Readable.from(['a\n', 'a\n']), client.query(copyFrom(sql))),
      )
      expect(await failureOf(copying)).toMatchObject({ code })
      expect(await sessionOf()).toEqual(session)
      expect(await app.rows()).toEqual([])
    },
  )

  describe.each(speakers)('in a transaction of $name', (speaker) => {
    test('is one statement, with the deferred commands in front', async () => {
      await speaker.block(app, async () => {
        await speaker.block(app, async () => {
          expect(await way.lend(app, (client) => fill(client, ['a\n', 'b\n']))).toBe(2)
        })
        await speaker.note(app, 'c')
        expect(await way.lend(app, read)).toEqual(['a', 'b', 'c'])
        expect(await app.rows()).toEqual([])
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
      expect(app.transcript.lines()).toEqual(
        way.heard([
          'begin',
          'savepoint sp1',
          '(copy)',
          'release savepoint sp1',
          'insert c',
          '(copy)',
          'commit',
        ]),
      )
    })

    test('is rolled back with its savepoint', async () => {
      await speaker.block(app, async () => {
        await speaker.note(app, 'kept')
        const nested = speaker.block(app, async () => {
          await way.lend(app, (client) => fill(client, ['gone\n']))
          throw boom
        })
        await expect(nested).rejects.toBe(boom)
        await speaker.note(app, 'too')
      })
      expect(await app.rows()).toEqual(['kept', 'too'])
      expect(app.transcript.lines()).toEqual(
        way.heard([
          'begin',
          'insert kept',
          'savepoint sp1',
          '(copy)',
          'rollback to savepoint sp1',
          'release savepoint sp1',
          'insert too',
          'commit',
        ]),
      )
    })

    test('whose producer fails rolls back, and the connection stays', async () => {
      const session = await sessionOf()
      const failed = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way.lend(app, (client) => fill(client, failingNotes()))
      })
      await expect(failed).rejects.toBe(boom)
      expect(app.transcript.lines().at(-1)).toBe('rollback')
      expect(await sessionOf()).toEqual(session)
      expect(await app.rows()).toEqual([])
    })

    test('whose producer fails cannot be committed even if the error is swallowed', async () => {
      const session = await sessionOf()
      const failed = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await failureOf(way.lend(app, (client) => fill(client, failingNotes())))
      })
      await expect(failed).rejects.toMatchObject({ name: 'TransactionAbortedError' })
      expect(await sessionOf()).toEqual(session)
      expect(await app.rows()).toEqual([])
    })

    test('whose producer fails in a savepoint rolls back that alone', async () => {
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        const nested = speaker.block(app, () =>
          way.lend(app, (client) => fill(client, failingNotes())),
        )
        expect(await failureOf(nested)).toBe(boom)
        await speaker.note(app, 'b')
      })
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines().filter((line) => line.startsWith('rollback'))).toEqual([
        'rollback to savepoint sp1',
      ])
    })

    test.each(refused)('of $name fails it with the error of the server', async ({ sql, code }) => {
      const session = await sessionOf()
      const failed = speaker.block(app, async () => {
        await speaker.note(app, 'first')
        await way.lend(app, (client) =>
          pipeline(Readable.from(['a\n', 'a\n']), client.query(copyFrom(sql))),
        )
      })
      await expect(failed).rejects.toMatchObject({ code })
      expect(app.transcript.lines().at(-1)).toBe('rollback')
      expect(await sessionOf()).toEqual(session)
      expect(await app.rows()).toEqual([])
    })

    test('makes other statements wait until it is done', async () => {
      const asked = gate()
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        const began = gate()
        async function* slowly(): AsyncGenerator<string> {
          yield 'b\n'
          began.open()
          await asked.passed
          yield 'c\n'
        }
        const copying = way.lend(app, (client) => fill(client, slowly()))
        await began.passed
        const others = [app.pool.query(`insert into note (text) values ('d')`)]
        asked.open()
        await Promise.all([copying, ...others])
      })
      expect(await app.rows()).toEqual(['a', 'b', 'c', 'd'])
      expect(app.transcript.lines()).toEqual(
        way.heard(['begin', 'insert a', '(copy)', 'insert', 'commit']),
      )
    })

    test('that nobody awaits is complete before COMMIT', async () => {
      let copying: Promise<unknown> | undefined
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        const began = gate()
        async function* slowly(): AsyncGenerator<string> {
          yield 'b\n'
          began.open()
          await setImmediate()
          yield 'c\n'
        }
        copying = way.lend(app, (client) => fill(client, slowly()))
        await began.passed
      })
      expect(await copying).toBe(2)
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
      expect(app.transcript.lines()).toEqual(way.heard(['begin', 'insert a', '(copy)', 'commit']))
    })
  })
})

const late = {
  'COPY FROM': (client: PoolClient) => fill(client, ['leaked\n']),
  'COPY TO': read,
}

test.each(Object.entries(late))(
  '%s after the end of its transaction is refused',
  async (_, copy) => {
    for (const speaker of speakers) {
      let client: PoolClient | undefined
      await speaker.block(app, async () => {
        client = await app.pool.connect()
      })
      const error = await failureOf(copy(client as PoolClient))
      expect(error.name).toBe('TransactionClosedError')
    }
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([])
  },
)

// If a reader leaves COPY TO, the server waits for ever to write to a socket that nobody reads.

// far more than the buffers on the way can hold
const ENDLESS = `copy (select repeat('x', 1000) from generate_series(1, 100000)) to stdout`

/** Reads the first chunk, and leaves. */
async function leave(client: PoolClient): Promise<void> {
  for await (const _ of client.query(copyTo(ENDLESS))) break
}

/** Begins to copy notes into the table, and gives that up. */
async function giveUp(client: PoolClient): Promise<void> {
  const stream = client.query(copyFrom('copy note (text) from stdin'))
  stream.write('copied\n')
  const closed = new Promise((resolve) => stream.on('error', () => {}).on('close', resolve))
  stream.destroy()
  await closed
}

describe.each(ways)('left early, through $name', (way) => {
  test('COPY TO that is left outside a transaction closes its client, and nobody hangs', async () => {
    const session = await sessionOf()
    await way.lend(app, leave)
    expect(await sessionOf()).not.toEqual(session)
    expect(app.pool.totalCount).toBe(1)
  })

  test('COPY FROM that is given up outside a transaction copies nothing, and the client stays', async () => {
    const session = await sessionOf()
    await way.lend(app, giveUp)
    expect(await sessionOf()).toEqual(session)
    expect(await app.rows()).toEqual([])
  })

  describe.each(speakers)('in a transaction of $name', (speaker) => {
    test('COPY TO that is left ends in a rollback, which the transaction reports', async () => {
      const ran: string[] = []
      const failing = speaker.block(app, async () => {
        await app.shared.afterCompletion((outcome) => void ran.push(outcome))
        await speaker.note(app, 'a')
        // the error may be reported here already
        await way.lend(app, leave).catch(() => {})
      })
      expect((await failureOf(failing)).name).toBe('TransactionAbortedError')
      expect(ran).toEqual(['rolled-back'])
      await speaker.block(app, () => speaker.note(app, 'next'))
      expect(await app.rows()).toEqual(['next'])
      expect(app.pool.totalCount).toBe(1)
      expect(app.transcript.lines().filter((line) => line === 'commit')).toHaveLength(1)
    })

    test('COPY TO that is left by an error ends in a rollback with that error', async () => {
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way.lend(app, async (client) => {
          for await (const _ of client.query(copyTo(ENDLESS))) throw boom
        })
      })
      expect(await failureOf(failing)).toBe(boom)
      await speaker.block(app, () => speaker.note(app, 'next'))
      expect(await app.rows()).toEqual(['next'])
    })

    test('COPY TO that was small enough to be read in one go can be left', async () => {
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way.lend(app, async (client) => {
          for await (const _ of client.query(copyTo('copy note (text) to stdout'))) break
        })
        await speaker.note(app, 'b')
      })
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines()).toEqual(
        way.heard(['begin', 'insert a', '(copy)', 'insert b', 'commit']),
      )
    })

    test('COPY FROM that is given up fails it', async () => {
      const session = await sessionOf()
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way.lend(app, giveUp)
      })
      expect((await failureOf(failing)).name).toBe('TransactionAbortedError')
      expect(await sessionOf()).toEqual(session)
      expect(await app.rows()).toEqual([])
    })
  })
})
