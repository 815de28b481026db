import { setImmediate } from 'node:timers/promises'
import { sql as raw } from 'drizzle-orm'
import { sql } from 'kysely'
import type { QueryEvent } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp({ pool: { max: 5 } })
const boom = new Error('boom')
const speakerOf = (n: number): Speaker => speakers[n % speakers.length] as Speaker

/** The transaction that each layer finds itself in. */
async function transactionIds(): Promise<string[]> {
  const text = 'select txid_current()::text as id'
  const [drizzle, kysely, pg] = await Promise.all([
    app.orm.execute<{ id: string }>(raw.raw(text)),
    sql.raw<{ id: string }>(text).execute(app.db),
    app.pool.query<{ id: string }>(text),
  ])
  return [drizzle.rows[0]?.id, kysely.rows[0]?.id, pg.rows[0]?.id].map(String)
}

async function request(n: number): Promise<void> {
  const [outer, inner] = [speakerOf(n), speakerOf(Math.floor(n / 3))]
  await outer.block(app, async () => {
    await outer.note(app, `${n}/outer`)
    await setImmediate()
    const ids = await transactionIds()
    expect(new Set(ids).size).toBe(1)
    const nested = inner.block(app, async () => {
      await inner.note(app, `${n}/inner`)
      if (n % 4 === 0) throw boom
    })
    expect(await outcomes([nested])).toEqual([n % 4 === 0 ? 'boom' : 'kept'])
    const seen = await app.db
      .selectFrom('note')
      .select('text')
      .where('text', 'like', `${n}/%`)
      .execute()
    expect(seen).toHaveLength(n % 4 === 0 ? 1 : 2)
    expect(await transactionIds()).toEqual(ids)
    if (n % 7 === 0) throw boom
  })
}

test('a hundred requests of all layers on five clients: each sees and keeps its own work', async () => {
  const numbers = Array.from({ length: 100 }, (_, n) => n)
  const results = await outcomes(
    numbers.map((n) => {
      return request(n)
    }),
  )
  expect(results).toEqual(numbers.map((n) => (n % 7 === 0 ? 'boom' : 'kept')))

  const kept = numbers
    .filter((n) => n % 7 !== 0)
    .flatMap((n) => (n % 4 === 0 ? [`${n}/outer`] : [`${n}/outer`, `${n}/inner`]))
  expect((await app.rows()).toSorted()).toEqual(kept.toSorted())

  const transactions = Map.groupBy(app.transcript.events(), ({ transaction }) => transaction)
  expect(transactions.size).toBe(100)
  for (const events of transactions.values()) expectOneRequest(events)
  expect(app.pool.totalCount).toBeLessThanOrEqual(5)
})

/** All went over one connection, begun once, ended once, and the notes are of one request. */
function expectOneRequest(events: readonly QueryEvent[]): void {
  expect(new Set(events.map(({ connection }) => connection)).size).toBe(1)
  const controls = events.filter(
    ({ control }) => control === 'begin' || control === 'commit' || control === 'rollback',
  )
  expect(controls).toHaveLength(2)
  expect(events[0]?.control).toBe('begin')
  expect(['commit', 'rollback']).toContain(events.at(-1)?.control)
  const written = events.filter(({ sql: text }) => text.startsWith('insert'))
  expect(new Set(written.map(({ parameters }) => String(parameters[0]).split('/')[0])).size).toBe(1)
}

describe.each(speakers)('requires-new in a transaction of $name', (speaker) => {
  test('is committed though the one around is rolled back', async () => {
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'outer')
      await app.shared.transaction(
        async ({ tx }) => {
          await tx.insert(notes).values({ text: 'new' })
          await speaker.note(app, 'new too')
          expect(await app.rows()).toEqual([])
        },
        { propagation: 'requires-new' },
      )
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    expect(await app.rows()).toEqual(['new', 'new too'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'begin',
      'insert new',
      'insert new too',
      'commit',
      'rollback',
    ])
  })

  test('is rolled back though the one around is committed', async () => {
    await speaker.block(app, async () => {
      await speaker.note(app, 'outer')
      const own = app.shared.transaction(
        async () => {
          await speaker.note(app, 'new')
          throw boom
        },
        { propagation: 'requires-new' },
      )
      expect(await failureOf(own)).toBe(boom)
      await speaker.note(app, 'after')
    })
    expect(await app.rows()).toEqual(['outer', 'after'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert outer',
      'begin',
      'insert new',
      'rollback',
      'insert after',
      'commit',
    ])
  })

  test('lets handles of the one around speak to that', async () => {
    await app.orm.transaction(async (tx) => {
      await tx.insert(notes).values({ text: 'outer' })
      await app.shared
        .transaction(
          async () => {
            await speaker.note(app, 'new')
            await tx.insert(notes).values({ text: 'outer too' })
            throw boom
          },
          { propagation: 'requires-new' },
        )
        .catch(() => {})
    })
    expect(await app.rows()).toEqual(['outer', 'outer too'])
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })
})
