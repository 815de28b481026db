import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool, type PoolConfig } from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import type { App, Schema } from '../setup/app.ts'
import { type Manner, type Speaker, speakers } from '../setup/worlds.ts'
import { asks, type Layers } from './asks.ts'
import { joining, useRecordedApp } from '../setup/recorded-app.ts'

const boom = new Error('boom')

const manners: readonly Manner[] = [
  ...joining,
  { name: 'a client that answers in binary', options: { pool: { binary: true } as PoolConfig } },
]

/** A place in a transaction, and the commands that are sent there. */
interface Place {
  readonly name: string
  run(app: App, speaker: Speaker, ask: () => Promise<void>): Promise<unknown>
  readonly sent: (verb: string) => readonly string[]
  readonly trips: number
}

const places: readonly Place[] = [
  {
    name: 'behind BEGIN',
    run: (app, speaker, ask) => speaker.block(app, ask),
    sent: (verb) => ['begin', verb, 'commit'],
    trips: 2,
  },
  {
    name: 'behind BEGIN and two SAVEPOINTs',
    run: (app, speaker, ask) =>
      speaker.block(app, () => speaker.block(app, () => speaker.block(app, ask))),
    sent: (verb) => ['begin', 'savepoint sp1', 'savepoint sp2', verb, 'commit'],
    trips: 2,
  },
  {
    name: 'behind SAVEPOINT',
    run: (app, speaker, ask) =>
      speaker.block(app, async () => {
        await app.pool.query('select 0')
        await speaker.block(app, ask)
      }),
    sent: (verb) => ['begin', 'select', 'savepoint sp1', verb, 'commit'],
    trips: 3,
  },
  {
    name: 'behind RELEASE',
    run: (app, speaker, ask) =>
      speaker.block(app, async () => {
        await speaker.block(app, () => app.pool.query('select 0'))
        await ask()
      }),
    sent: (verb) => ['begin', 'savepoint sp1', 'select', 'release savepoint sp1', verb, 'commit'],
    trips: 3,
  },
  {
    name: 'behind ROLLBACK TO, RELEASE and SAVEPOINT',
    run: (app, speaker, ask) =>
      speaker.block(app, async () => {
        const nested = speaker.block(app, async () => {
          await app.pool.query('select 0')
          throw boom
        })
        await Promise.resolve(nested).catch(() => undefined)
        await speaker.block(app, ask)
      }),
    sent: (verb) => [
      'begin',
      'savepoint sp1',
      'select',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'savepoint sp1',
      verb,
      'commit',
    ],
    trips: 4,
  },
]

describe.each(manners)('with $name', ({ options }) => {
  const { app, sent, trips, clear } = useRecordedApp(options)
  const alone = new Map<string, unknown>()

  beforeAll(async () => {
    const pool = new Pool({ connectionString: app.url, max: 1, ...options.pool })
    const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
    const stock: Layers = { orm: drizzle({ client: pool }), db, pool }
    for (const { name, of } of asks) {
      alone.set(name, await of(stock))
      await app.observer.query('delete from note')
    }
    await pool.end()
  })

  describe.each(places)('$name', (place) => {
    test.each(speakers)(
      'BEGIN of $name is piggybacked on every kind of statement, which is answered as by stock',
      async (speaker) => {
        for (const { name, verb, of } of asks) {
          let answer: unknown
          clear()
          await place.run(app, speaker, async () => {
            answer = await of(app)
          })
          expect({ name, answer }).toEqual({ name, answer: alone.get(name) })
          expect({ name, sent: sent() }).toEqual({ name, sent: place.sent(verb) })
          expect({ name, trips: trips() }).toEqual({ name, trips: place.trips })
          expect(await app.rows()).toEqual(verb === 'insert' ? ['x'] : [])
          await app.observer.query('delete from note')
        }
      },
    )
  })
})
