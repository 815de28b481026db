import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  acquireChannel,
  hookChannel,
  noticeChannel,
  queryChannel,
  releaseChannel,
  savepointChannel,
  transactionChannel,
} from '../../packages/bridge/src/instrumentation/channels.ts'
import { QueryTrace } from '../../packages/bridge/src/instrumentation/traces.ts'
import { type App, notes, useApp } from '../setup/app.ts'
import { useCachedApp } from '../setup/cached-app.ts'
import { note } from '../setup/recorded-app.ts'
import { type World, speakers, worlds } from '../setup/worlds.ts'
import { MARKER, matchedIn, readsOf, searchesIn } from './counting.ts'

// Work per statement is done a million times, so it is counted here.

const boom = new Error('boom')

/** A program that publishes on every channel. */
async function program(app: App, { outer, inner }: World): Promise<void> {
  await outer.block(app, async () => {
    await outer.note(app, 'a')
    await app.shared.afterCommit(() => undefined)
    await inner.block(app, () => Promise.all([inner.note(app, 'b'), outer.note(app, 'c')]))
    const failing = inner.block(app, async () => {
      await inner.note(app, 'd')
      throw boom
    })
    await Promise.resolve(failing).catch(() => undefined)
    await app.pool.query("do $$ begin raise notice 'remark'; end $$")
  })
}

describe.each([
  { name: 'nobody listens', isHeard: false },
  { name: 'somebody listens', isHeard: true },
])('where $name', ({ isHeard }) => {
  const app = useApp({ unheard: true, pool: { max: 1 } })
  const ignore = (): void => {}
  const tracing = {
    start: ignore,
    end: ignore,
    asyncStart: ignore,
    asyncEnd: ignore,
    error: ignore,
  }
  const plain = [acquireChannel, releaseChannel, savepointChannel, hookChannel, noticeChannel]

  beforeEach(() => {
    if (!isHeard) return
    queryChannel.subscribe(tracing)
    transactionChannel.subscribe(tracing)
    for (const channel of plain) channel.subscribe(ignore)
  })
  afterEach(() => {
    vi.restoreAllMocks()
    queryChannel.unsubscribe(tracing)
    transactionChannel.unsubscribe(tracing)
    for (const channel of plain) channel.unsubscribe(ignore)
  })

  test.each(worlds)('events are made only for subscribers, in $name', async (world) => {
    await app.pool.query('select 1')
    // an event is an argument of these: if they are not called, none is made
    const spies = [
      vi.spyOn(QueryTrace, 'start'),
      vi.spyOn(queryChannel.start, 'publish'),
      vi.spyOn(queryChannel.asyncEnd, 'publish'),
      vi.spyOn(transactionChannel.start, 'publish'),
      vi.spyOn(transactionChannel.asyncEnd, 'publish'),
      ...plain.map((channel) => vi.spyOn(channel, 'publish')),
    ]
    await program(app, world)
    const counts = spies.map(({ mock }) => mock.calls.length)
    if (isHeard) expect(counts).not.toContain(0)
    else expect(counts).toEqual(counts.map(() => 0))
    expect((await app.rows()).toSorted()).toEqual(['a', 'b', 'c'])
  })
})

describe('the async store of the package', () => {
  const app = useApp({ unheard: true, pool: { max: 1 } })
  const asks = [
    { name: 'pg', ask: () => note(app, 'a') },
    { name: 'Drizzle', ask: () => app.orm.insert(notes).values({ text: 'b' }) },
  ]

  test.each(asks)('is read once for a statement of $name in a transaction', async ({ ask }) => {
    let reads = 0
    await app.shared.transaction(async () => {
      reads = await readsOf(app, ask)
    })
    expect(reads).toBe(1)
  })

  const byKysely = () => app.db.insertInto('note').values({ text: 'a' }).execute()

  test.each(asks)(
    'is read once for a statement of $name outside a transaction',
    async ({ ask }) => {
      expect(await readsOf(app, ask)).toBe(1)
      expect(await app.rows()).toHaveLength(1)
    },
  )

  // Kysely's driver does not pass on its caller. So the store is read each time that it calls the
  // bridge: for a provider, a client, a connection, a query, a release. `run` reads it, too.
  test('is read once for each call of Kysely outside a transaction', async () => {
    expect(await readsOf(app, byKysely)).toBe(4 + 2)
    expect(await app.rows()).toEqual(['a'])
  })

  test('is read once for each call of Kysely in a transaction', async () => {
    let reads = 0
    await app.shared.transaction(async () => {
      reads = await readsOf(app, byKysely)
    })
    expect(reads).toBe(4 + 1)
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

describe.each([
  { name: 'nobody listens', unheard: true },
  { name: 'somebody listens', unheard: false },
])('a text, where $name,', ({ unheard }) => {
  const app = useApp({ unheard, pool: { max: 1 } })

  test.each(speakers)('is matched by no regular expression, in $name', async (speaker) => {
    const matched = await matchedIn(async () => {
      await speaker.block(app, async () => {
        await app.pool.query(`insert into note (text) values ('a') /* ${MARKER} */`)
        await app.pool.query(`insert into note (text) values ($1) /* ${MARKER} */`, ['b'])
        await app.pool.query({ name: 'told', text: `select 1 /* ${MARKER} */` })
        await app.pool.query(`select 1 /* ${MARKER} */; select 2`)
        await speaker.block(app, () => speaker.note(app, MARKER))
      })
      await app.pool.query(`select 3 /* ${MARKER} */`)
    })
    expect(matched).toEqual([])
    expect(await app.rows()).toEqual(['a', 'b', MARKER])
  })

  test.each([
    { kind: 'with values', query: { text: `select $1 /* ${MARKER} */`, values: [1] } },
    { kind: 'with a name', query: { name: 'm', text: `select 1 /* ${MARKER} */` } },
  ])('$kind is not searched for ;', async ({ query }) => {
    expect(await searchesIn(() => app.shared.transaction(() => app.pool.query(query)))).toBe(0)
  })

  test('without values is searched for ; once', async () => {
    const ask = () => app.pool.query(`select 1 /* ${MARKER} */`)
    expect(await searchesIn(() => app.shared.transaction(ask))).toBe(1)
    expect(await searchesIn(ask)).toBe(1)
  })
})

describe('a text, beside a cache of Drizzle', () => {
  const app = useCachedApp()

  test('is matched by no regular expression', async () => {
    const matched = await matchedIn(() => app.pool.query(`select 1 /* ${MARKER} */`))
    expect(matched).toEqual([])
  })
})
