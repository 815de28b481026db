import type { Tracer } from '@opentelemetry/api'
import { sql } from 'drizzle-orm'
import type { NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'

type Orm = NodePgDatabase & { $client: Pool }

/** A program that runs with the bridge and without it. */
interface Scenario {
  readonly name: string
  readonly run: (orm: Orm, pool: Pool, tracer: Tracer) => Promise<unknown>
}

const insert = (text: string) => sql`insert into note (text) values (${text})`
const FAILING = sql`select 1 / 0`
const swallow = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined)

export const scenarios: readonly Scenario[] = [
  { name: 'a lone statement', run: (orm) => orm.execute(insert('a')) },
  {
    name: 'a transaction of one statement',
    run: (orm) => orm.transaction((tx) => tx.execute(insert('a'))),
  },
  {
    name: 'a transaction of two statements',
    run: (orm) =>
      orm.transaction(async (tx) => {
        await tx.execute(insert('a'))
        await tx.execute(insert('b'))
      }),
  },
  {
    name: 'three statements together',
    run: (orm) =>
      orm.transaction((tx) => Promise.all(['a', 'b', 'c'].map((text) => tx.execute(insert(text))))),
  },
  {
    name: 'three statements together, each under a span of its own',
    run: (orm, _pool, tracer) =>
      orm.transaction((tx) =>
        Promise.all(
          ['a', 'b', 'c'].map((text) =>
            tracer.startActiveSpan(`child ${text}`, async (span) => {
              await tx.execute(insert(text))
              span.end()
            }),
          ),
        ),
      ),
  },
  {
    name: 'three statements together, of which the second fails',
    run: (orm) =>
      swallow(
        orm.transaction(async (tx) => {
          const together = [tx.execute(insert('a')), tx.execute(FAILING), tx.execute(insert('c'))]
          await Promise.allSettled(together)
          throw new Error('the second has failed')
        }),
      ),
  },
  {
    name: 'a nested transaction',
    run: (orm) =>
      orm.transaction(async (tx) => {
        await tx.execute(insert('a'))
        await tx.transaction((inner) => inner.execute(insert('b')))
      }),
  },
  {
    name: 'a named statement, twice, first in a transaction',
    run: async (orm, pool) => {
      const client = await pool.connect()
      const named = { name: 'one', text: 'insert into note (text) values ($1)', values: ['a'] }
      await client.query('begin')
      await client.query(named)
      await client.query(named)
      await client.query('commit')
      client.release()
      await orm.execute(insert('b'))
    },
  },
]
