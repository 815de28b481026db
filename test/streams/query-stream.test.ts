import type { PoolClient } from 'pg'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers, worlds } from '../setup/worlds.ts'
import { ways } from './client-ways.ts'
import { breathe, gate } from '../setup/gate.ts'

const app = useApp({ pool: { max: 1 } })

/** Streams the notes, two at a time. */
function streamOf(client: PoolClient, sql = 'select text from note order by id'): QueryStream {
  return client.query(new QueryStream(sql, [], { batchSize: 2 }))
}

async function textsOf(stream: AsyncIterable<{ text: string }>): Promise<string[]> {
  const texts: string[] = []
  for await (const { text } of stream) texts.push(text)
  return texts
}

async function seed(): Promise<void> {
  await app.observer.query(`insert into note (text) values ('n1'), ('n2'), ('n3'), ('n4'), ('n5')`)
}

const SEEDED = ['n1', 'n2', 'n3', 'n4', 'n5']

describe.each(ways)('pg-query-stream through $name', (way) => {
  test('is read outside a transaction as by stock', async () => {
    await seed()
    expect(await way.lend(app, (client) => textsOf(streamOf(client)))).toEqual(SEEDED)
    expect(app.transcript.lines()).toEqual(way.heard(['(select)']))
  })

  describe.each(speakers)('in a transaction of $name', (speaker) => {
    test('is in it, with BEGIN in front', async () => {
      await seed()
      await speaker.block(app, async () => {
        expect(await way.lend(app, (client) => textsOf(streamOf(client)))).toEqual(SEEDED)
        await speaker.note(app, 'a')
        expect(await way.lend(app, (client) => textsOf(streamOf(client)))).toEqual([...SEEDED, 'a'])
      })
      expect(await app.rows()).toEqual([...SEEDED, 'a'])
      expect(app.transcript.lines()).toEqual(
        way.heard(['begin', '(select)', 'insert a', '(select)', 'commit']),
      )
    })

    test('can be left early, and the transaction goes on', async () => {
      await seed()
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way.lend(app, async (client) => {
          for await (const { text } of streamOf(client) as AsyncIterable<{ text: string }>) {
            expect(text).toBe('n1')
            break
          }
        })
        await speaker.note(app, 'b')
      })
      expect(await app.rows()).toEqual([...SEEDED, 'a', 'b'])
      expect(app.transcript.lines()).toEqual(
        way.heard(['begin', 'insert a', '(select)', 'insert b', 'commit']),
      )
    })

    test('whose statement fails fails the transaction, with the error of the server', async () => {
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way.lend(app, (client) => textsOf(streamOf(client, `select 1 / 0 as text`)))
      })
      expect(await failureOf(failing)).toMatchObject({ code: '22012' })
      expect(await app.rows()).toEqual([])
      expect(app.transcript.lines().at(-1)).toBe('rollback')
    })

    test('whose error is swallowed prevents COMMIT', async () => {
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await way
          .lend(app, (client) => textsOf(streamOf(client, `select 1 / 0 as text`)))
          .catch(() => {})
      })
      await expect(failing).rejects.toMatchObject({ name: 'TransactionAbortedError' })
      expect(await app.rows()).toEqual([])
    })
  })

  test.each(worlds)(
    'makes other statements wait until it has been read, in $name',
    async ({ outer, inner }) => {
      let seen = 0
      let seenBefore = 0
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        const begun = gate()
        const asked = gate()
        const reading = way.lend(app, async (client) => {
          for await (const _ of streamOf(client, 'select generate_series(1, 100)')) {
            seen++
            begun.open()
            await asked.passed
          }
        })
        await begun.passed
        const write = async (): Promise<void> => {
          await inner.note(app, 'b')
          seenBefore = seen
        }
        const writing = write()
        await breathe()
        asked.open()
        await Promise.all([reading, writing])
      })
      expect(seen).toBe(100)
      // the last pages may have come, but not been looked at
      expect(seenBefore).toBeGreaterThan(90)
      expect(await app.rows()).toEqual(['a', 'b'])
      expect(app.transcript.lines()).toEqual(
        way.heard(['begin', 'insert a', '(select)', 'insert b', 'commit']),
      )
    },
  )
})
