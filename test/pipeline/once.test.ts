import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { useCachedApp } from '../setup/cached-app.ts'
import { MARKER, matchedIn, readsOf, searchesIn } from './counting.ts'
import { note } from '../setup/recorded-app.ts'

describe('the async store of the package', () => {
  const app = useApp({ unheard: true, pool: { max: 1 } })
  const byKysely = () => app.db.insertInto('note').values({ text: 'a' }).execute()

  test.each([
    { name: 'pg', ask: () => note(app, 'a') },
    { name: 'Drizzle', ask: () => app.orm.insert(notes).values({ text: 'a' }) },
  ])('is read once for a statement of $name outside a transaction', async ({ ask }) => {
    expect(await readsOf(app, ask)).toBe(1)
    expect(await app.rows()).toEqual(['a'])
  })

  // Kysely's driver passes nothing on of whom it works for. So the store is read each time that it
  // comes back: for a provider, a client, a connection, a query, a release. `run` reads it too.
  test('is read once for each call of Kysely outside a transaction', async () => {
    expect(await readsOf(app, byKysely)).toBe(5 + 2)
    expect(await app.rows()).toEqual(['a'])
  })

  test('is read once for each call of Kysely in a transaction', async () => {
    let reads = 0
    await app.shared.transaction(async () => {
      reads = await readsOf(app, byKysely)
    })
    expect(reads).toBe(5 + 1)
  })

  test("is read once for each call of Kysely's trx", async () => {
    let reads = 0
    await app.db.transaction().execute(async (trx) => {
      reads = await readsOf(app, () => trx.insertInto('note').values({ text: 'a' }).execute())
    })
    // it has its connection already
    expect(reads).toBe(3 + 1)
  })
})

describe('a text', () => {
  const app = useApp({ unheard: true, pool: { max: 1 } })

  test('without values is searched for ; once', async () => {
    const ask = () => app.pool.query(`select 1 /* ${MARKER} */`)
    expect(await searchesIn(() => app.shared.transaction(ask))).toBe(1)
    expect(await searchesIn(ask)).toBe(1)
  })
})

describe('a text, beside a cache of Drizzle', () => {
  const app = useCachedApp()

  test('is no matter for regular expressions', async () => {
    const matched = await matchedIn(() => app.pool.query(`select 1 /* ${MARKER} */`))
    expect(matched).toEqual([])
  })
})
