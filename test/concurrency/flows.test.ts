import { sql as raw } from 'drizzle-orm'
import { sql } from 'kysely'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { type Speaker, speakers } from '../setup/worlds.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp({ pool: { max: 5 } })
const boom = new Error('boom')
const numbers = Array.from({ length: 200 }, (_, n) => n)

const depthOf = (n: number): number => 1 + (n % 4)
const fails = (n: number): boolean => n % 7 === 0
/** Its innermost block fails, and that is caught. */
const stumbles = (n: number): boolean => n % 3 === 0 && depthOf(n) > 1
const speakerOf = (n: number, at: number): Speaker =>
  speakers[(n + at * (1 + (n % 2))) % speakers.length] as Speaker

/** The notes of others that a flow has seen. */
const foreign = new Set<string>()

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

/** One level of a flow: a block that writes, looks around, and goes deeper. */
function level(n: number, at: number): Promise<unknown> {
  const speaker = speakerOf(n, at)
  return speaker.block(app, async () => {
    await speaker.note(app, `${n}/${at}`)
    await setImmediate()
    expect(await seenBy(n)).toEqual(notesOf(n, at))
    const ids = await transactionIds()
    expect(new Set(ids).size).toBe(1)
    if (at < depthOf(n)) {
      const deeper = await outcomes([level(n, at + 1)])
      const isLast = at + 1 === depthOf(n)
      expect(deeper).toEqual([isLast && stumbles(n) ? 'boom' : 'fulfilled'])
      const kept = isLast && stumbles(n) ? at : depthOf(n) - (stumbles(n) ? 1 : 0)
      expect(await seenBy(n)).toEqual(notesOf(n, kept))
      expect(await transactionIds()).toEqual(ids)
    } else if (stumbles(n)) throw boom
    if (at === 1 && fails(n)) throw boom
  })
}

const notesOf = (n: number, upTo: number): string[] =>
  Array.from({ length: upTo }, (_, at) => `${n}/${at + 1}`)

/** The notes of the flow itself, as the other layers see them. */
async function seenBy(n: number): Promise<string[]> {
  const rows = await app.db.selectFrom('note').select('text').orderBy('id').execute()
  const own = rows.map(({ text }) => text).filter((text) => text.startsWith(`${n}/`))
  for (const { text } of rows) if (!text.startsWith(`${n}/`)) foreign.add(text)
  return own
}

test(
  'two hundred flows of all layers on five clients: each sees its own work, and no other before that is committed',
  { timeout: 30_000 },
  async () => {
    const results = await outcomes(numbers.map((n) => level(n, 1)))
    expect(results).toEqual(numbers.map((n) => (fails(n) ? 'boom' : 'fulfilled')))

    const kept = numbers
      .filter((n) => !fails(n))
      .flatMap((n) => notesOf(n, depthOf(n) - (stumbles(n) ? 1 : 0)))
    const rows = await app.rows()
    expect(rows.toSorted()).toEqual(kept.toSorted())
    expect([...foreign].filter((text) => !rows.includes(text))).toEqual([])

    const transactions = Map.groupBy(app.transcript.events(), ({ transaction }) => transaction)
    expect(transactions.size).toBe(200)
    for (const events of transactions.values()) {
      const written = events.filter(({ sql: text }) => text.startsWith('insert'))
      expect(
        new Set(written.map(({ parameters }) => String(parameters[0]).split('/')[0])).size,
      ).toBe(1)
      expect(new Set(events.map(({ connection }) => connection)).size).toBe(1)
      const ends = events.filter(({ control }) => control === 'commit' || control === 'rollback')
      expect(events.filter(({ control }) => control === 'begin')).toEqual([events[0]])
      expect(ends).toEqual([events.at(-1)])
    }
    expect(app.pool.totalCount).toBeLessThanOrEqual(5)
  },
)
