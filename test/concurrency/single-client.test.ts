import { setImmediate } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Client } from 'pg'
import { type SharedConnection, type SharedKysely, shareConnection } from 'shared-connection'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Schema, notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp()
const boom = new Error('boom')
const make = (client: Client) => drizzle({ client })
type Orm = ReturnType<typeof make>

let client: Client
let orm: Orm
let db: SharedKysely<Schema, Orm>
let shared: SharedConnection<Orm>

beforeAll(async () => {
  client = new Client({ connectionString: app.url })
  await client.connect()
  orm = make(client)
  shared = shareConnection(orm)
  db = shared.kysely<Schema>()
})
afterAll(async () => {
  shared.dispose()
  await client.end()
})

test('a Kysely database that takes the client for a pool is refused by name, and nothing is sent', async () => {
  const pool = orm.$client as unknown as typeof app.pool
  const wrong = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) }).extension(
    'shared-connection',
    { drizzle: orm },
  )
  const refused = [
    wrong.selectFrom('note').selectAll().execute(),
    wrong.transaction().execute((trx) => trx.selectFrom('note').selectAll().execute()),
  ]
  for (const each of refused) {
    const error = await failureOf(each)
    expect(error.name).toBe('InvalidArgumentError')
    expect(error.message).toContain('shared.kysely()')
  }
  expect(app.transcript.lines()).toEqual([])
})

test('whole transactions of both layers take turns on one client', async () => {
  const results = await outcomes([
    orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      await setImmediate()
      await db.insertInto('note').values({ text: 'b' }).execute()
    }),
    db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'c' }).execute()
      await setImmediate()
      await orm.insert(notes).values({ text: 'd' })
      throw boom
    }),
    client.query('insert into note (text) values ($1)', ['e']),
  ])
  expect(results).toEqual(['fulfilled', 'boom', 'fulfilled'])
  expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'e'])
  const lines = app.transcript.lines()
  // a statement on its own takes its turn too, in the order in which they reach the client
  const at = lines.indexOf('insert e')
  expect(['commit', 'rollback']).toContain(lines[at - 1])
  expect(lines.toSpliced(at, 1)).toEqual([
    'begin',
    'insert a',
    'insert b',
    'commit',
    'begin',
    'insert c',
    'insert d',
    'rollback',
  ])
})

test(
  'a second transaction inside a transaction is refused at once',
  { timeout: 2000 },
  async () => {
    const results = await outcomes([
      orm.transaction(async (tx) => {
        await tx.insert(notes).values({ text: 'a' })
        await shared.transaction(({ tx: own }) => own.insert(notes).values({ text: 'b' }), {
          propagation: 'requires-new',
        })
      }),
    ])
    expect(results).not.toEqual(['fulfilled'])
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'rollback'])
  },
)

/** The layers, on one client that all of them share. */
const layers = [
  {
    block: (fn: () => Promise<unknown>) => orm.transaction(() => fn()),
    note: (text: string): PromiseLike<unknown> => orm.insert(notes).values({ text }),
  },
  {
    block: (fn: () => Promise<unknown>) => db.transaction().execute(() => fn()),
    note: (text: string) => db.insertInto('note').values({ text }).execute(),
  },
  {
    block: (fn: () => Promise<unknown>) => shared.transaction(() => fn()),
    note: (text: string) => client.query('insert into note (text) values ($1)', [text]),
  },
] as const

const layer = (n: number) => layers[n % layers.length] as (typeof layers)[number]
const numbers = Array.from({ length: 20 }, (_, n) => n)
const fails = (n: number): boolean => n % 5 === 2

test('twenty flows of all layers on one client: whole transactions take turns', async () => {
  const flow = (n: number): Promise<unknown> =>
    layer(n).block(async () => {
      await layer(n).note(`${n} outer`)
      await setImmediate()
      const nested = layer(n + 1).block(async () => {
        await layer(n + 2).note(`${n} nested`)
        if (n % 3 === 0) throw boom
      })
      expect(await outcomes([nested])).toEqual([n % 3 === 0 ? 'boom' : 'fulfilled'])
      await setImmediate()
      await layer(n + 2).note(`${n} after`)
      if (fails(n)) throw boom
    })
  expect(await outcomes(numbers.map(flow))).toEqual(
    numbers.map((n) => (fails(n) ? 'boom' : 'fulfilled')),
  )

  const kept = numbers
    .filter((n) => !fails(n))
    .flatMap((n) => [`${n} outer`, ...(n % 3 === 0 ? [] : [`${n} nested`]), `${n} after`])
  expect((await app.rows()).toSorted()).toEqual(kept.toSorted())

  // one after the other, each whole
  let open: string | undefined
  for (const line of app.transcript.lines()) {
    const [verb = '', number = ''] = line.split(' ')
    if (verb === 'begin') expect(open).toBeUndefined()
    open = verb === 'insert' ? (open ?? number) : open
    if (verb === 'insert') expect(number).toBe(open)
    if (line === 'commit' || line === 'rollback') open = undefined
  }
  expect(app.transcript.lines().filter((line) => line === 'begin')).toHaveLength(20)
})

test('statements without a transaction wait for the transactions of other flows', async () => {
  const results = await outcomes(
    numbers.map((n) => {
      if (n % 2 === 0) return Promise.resolve(layer(n).note(`${n}`))
      return layer(n).block(async () => {
        await layer(n).note(`${n}`)
        await setImmediate()
        throw boom
      })
    }),
  )
  expect(results).toEqual(numbers.map((n) => (n % 2 === 0 ? 'fulfilled' : 'boom')))
  const even = numbers.filter((n) => n % 2 === 0).map(String)
  expect((await app.rows()).toSorted()).toEqual(even.toSorted())
})

test(
  'a block of outside() that is awaited inside a transaction is refused, since there is no second client',
  { timeout: 2000 },
  async () => {
    for (const one of layers) {
      await one.block(async () => {
        const error = await failureOf(shared.outside(() => one.block(() => Promise.resolve())))
        expect(error.name).toBe('PoolExhaustedError')
      })
    }
    expect(app.transcript.lines()).toEqual([])
    expect(await app.rows()).toEqual([])
  },
)

describe('a connection of Kysely on a pool of one', () => {
  const pooled = useApp({ pool: { max: 1 } })

  test('runs its transactions on itself', async () => {
    await pooled.db.connection().execute(async (connection) => {
      await sql`create temporary table here (n int)`.execute(connection)
      await connection.transaction().execute(async (trx) => {
        await sql`insert into here values (1)`.execute(trx)
        await trx.insertInto('note').values({ text: 'a' }).execute()
        // plain objects take part in the transaction, too
        await pooled.orm.insert(notes).values({ text: 'b' })
      })
      await sql`drop table here`.execute(connection)
    })
    expect(await pooled.rows()).toEqual(['a', 'b'])
    expect(pooled.transcript.lines()).toEqual([
      'create',
      'begin',
      'insert',
      'insert a',
      'insert b',
      'commit',
      'drop',
    ])
  })

  test('goes on after a transaction of its own that failed', async () => {
    await pooled.db.connection().execute(async (connection) => {
      const failing = connection.transaction().execute(async (trx) => {
        await trx.insertInto('note').values({ text: 'a' }).execute()
        throw boom
      })
      await expect(failing).rejects.toBe(boom)
      await connection.insertInto('note').values({ text: 'b' }).execute()
    })
    expect(await pooled.rows()).toEqual(['b'])
    expect(pooled.transcript.lines()).toEqual(['begin', 'insert a', 'rollback', 'insert b'])
  })

  test('runs controlled transactions on itself', async () => {
    await pooled.db.connection().execute(async (connection) => {
      const trx = await connection.startTransaction().execute()
      await trx.insertInto('note').values({ text: 'a' }).execute()
      await trx.commit().execute()
      await connection.insertInto('note').values({ text: 'b' }).execute()
    })
    expect(await pooled.rows()).toEqual(['a', 'b'])
    expect(pooled.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'insert b'])
  })
})
