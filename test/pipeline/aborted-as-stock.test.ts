import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, PostgresDialect, sql } from 'kysely'
import { Pool, type PoolConfig } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { notes, type Schema, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { manners } from '../setup/worlds.ts'

// In an aborted frame the bridge answers without asking the server. Each layer must still get the same
// errors and the same rows as without the bridge.

/** A layer alone, on the bridge or not. */
interface Layers {
  readonly orm: Pick<ReturnType<typeof drizzle>, 'transaction'>
  readonly db: Pick<Kysely<Schema>, 'startTransaction'>
}

type Note = (what: string) => void
type Story = (layers: Layers, note: Note) => Promise<unknown>

/** The code that a promise rejects with. An answer of the bridge counts as that of the server. */
async function codeOf(promise: PromiseLike<unknown>): Promise<string> {
  const { name, code } = (await failureOf(promise)) as Error & { code?: string }
  return name === 'TransactionAbortedError' ? '25P02' : (code ?? name)
}

const drizzleStories: Record<string, Story> = {
  'a statement error is thrown out of the first savepoint': async ({ orm }, note) =>
    orm.transaction(async (tx) => {
      note(await codeOf(tx.transaction((nested) => nested.execute('select 1 / 0'))))
      await tx.insert(notes).values({ text: 'a' })
    }),
  'a statement error is swallowed in a savepoint, which is then released': async ({ orm }, note) =>
    orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'a' })
      const nested = tx.transaction(async (inner) => {
        await inner.insert(notes).values({ text: 'b' })
        note(await codeOf(inner.execute('select 1 / 0')))
      })
      note(await codeOf(nested))
      await tx.insert(notes).values({ text: 'c' })
    }),
  'a savepoint is asked for behind a swallowed error': async ({ orm }, note) =>
    orm.transaction(async (tx) => {
      note(await codeOf(tx.execute('select 1 / 0')))
      await tx.transaction(() => Promise.resolve(note('ran')))
    }),
  'a statement is asked for behind a swallowed error': async ({ orm }, note) =>
    orm.transaction(async (tx) => {
      note(await codeOf(tx.execute('select 1 / 0')))
      await tx.insert(notes).values({ text: 'a' })
    }),
  'an error in the third level is caught in the second': async ({ orm }, note) =>
    orm.transaction(async (tx) => {
      await tx.transaction(async (second) => {
        await second.insert(notes).values({ text: 'a' })
        note(await codeOf(second.transaction((third) => third.execute('select 1 / 0'))))
        await second.insert(notes).values({ text: 'b' })
      })
      await tx.insert(notes).values({ text: 'c' })
    }),
}

const FAIL = sql`select 1 / 0`

const kyselyStories: Record<string, Story> = {
  'a savepoint is released behind a swallowed error, then rolled back': async ({ db }, note) => {
    const trx = await db.startTransaction().execute()
    const marked = await trx.savepoint('s').execute()
    note(await codeOf(FAIL.execute(marked)))
    note(await codeOf(marked.releaseSavepoint('s').execute()))
    await marked.rollbackToSavepoint('s').execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    await trx.commit().execute()
  },
  'a savepoint is asked for behind a swallowed error': async ({ db }, note) => {
    const trx = await db.startTransaction().execute()
    note(await codeOf(FAIL.execute(trx)))
    note(await codeOf(trx.savepoint('s').execute()))
    await trx.rollback().execute()
  },
  'a savepoint is rolled back twice, and written in between': async ({ db }, note) => {
    const trx = await db.startTransaction().execute()
    await trx.insertInto('note').values({ text: 'a' }).execute()
    const marked = await trx.savepoint('s').execute()
    note(await codeOf(FAIL.execute(marked)))
    await marked.rollbackToSavepoint('s').execute()
    await marked.insertInto('note').values({ text: 'b' }).execute()
    note(await codeOf(FAIL.execute(marked)))
    note(await codeOf(marked.insertInto('note').values({ text: 'c' }).execute()))
    await marked.rollbackToSavepoint('s').execute()
    await marked.releaseSavepoint('s').execute()
    await trx.commit().execute()
  },
}

const stories = Object.entries({ ...drizzleStories, ...kyselyStories })

describe.each(manners)('$name', ({ options }) => {
  const app = useApp({ ...options, pool: { ...options.pool, max: 1 } })
  let pool: Pool
  let stock: Layers

  beforeAll(() => {
    const config: PoolConfig = { connectionString: app.url, max: 1, ...options.pool }
    pool = new Pool(config)
    stock = {
      orm: drizzle({ client: pool }),
      db: new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) }),
    }
  })
  afterAll(() => pool.end())

  /** The errors and the rows of a story. */
  async function accountOf(layers: Layers, story: Story): Promise<readonly string[]> {
    const account: string[] = []
    const note: Note = (what) => void account.push(what)
    await story(layers, note).then(
      () => note('kept'),
      async (error: unknown) => note(await codeOf(Promise.reject(error))),
    )
    account.push(...(await app.rows()))
    await app.observer.query('delete from note')
    return account
  }

  test.each(stories)('%s: as in stock', async (_, story) => {
    const expected = await accountOf(stock, story)
    expect(await accountOf(app, story)).toEqual(expected)
    expect(expected.join()).toMatch(/22012|25P02/)
  })
})
