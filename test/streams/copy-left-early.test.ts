import type { PoolClient } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { ways } from './client-ways.ts'

// A reader that leaves COPY has the server wait for ever with what nobody takes from the socket.

const app = useApp({ pool: { max: 1 } })
// far more than the buffers on the way can hold
const ENDLESS = `copy (select repeat('x', 1000) from generate_series(1, 100000)) to stdout`

/** Reads the beginning of what is copied, and leaves. */
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

/** The server process that the pool's only client talks to. */
async function sessionOf(): Promise<unknown> {
  return (await app.pool.query('select pg_backend_pid() as pid')).rows[0]
}

describe.each(ways)('through $name', (way) => {
  test('COPY TO that is left outside a transaction costs its client, and nobody hangs', async () => {
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
    test('COPY TO that is left ends in a rollback, and says so', async () => {
      const ran: string[] = []
      const failing = speaker.block(app, async () => {
        await app.shared.afterCompletion((outcome) => void ran.push(outcome))
        await speaker.note(app, 'a')
        // where that is told already, it is swallowed
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
      const boom = new Error('boom')
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
