import { getEventListeners } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Client } from 'pg'
import { shareConnection, TransactionOutcomeUnknownError } from 'shared-connection'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useApp, type AppOptions } from '../setup/app.ts'
import { mannersHere } from '../setup/worlds.ts'

const given = new Error('given up')
const ways = mannersHere<{ name: string; options: AppOptions }>([
  { name: 'lazy', options: {} },
  { name: 'not lazy', options: { shared: { lazy: false } } },
  { name: 'pipeline', options: { pool: { pipeline: true } } },
])

const unhandled: unknown[] = []
const onUnhandled = (e: unknown) => unhandled.push(e)
beforeAll(() => void process.on('unhandledRejection', onUnhandled))
afterAll(() => void process.off('unhandledRejection', onUnhandled))

/** Lets `macro` turns of the loop and `micro` microtasks pass. */
async function steps(macro: number, micro: number): Promise<void> {
  for (let n = 0; n < macro; n++) await setImmediate()
  for (let n = 0; n < micro; n++) await Promise.resolve()
}

describe.each(ways)('abort at any moment, $name', ({ options }) => {
  const app = useApp({
    ...options,
    pool: { max: 1, ...options.pool },
    shared: { turnTimeout: 2000, ...options.shared },
  })
  const note = (text: string) => app.pool.query('insert into note (text) values ($1)', [text])

  test('reports what the server did', { timeout: 120000 }, async () => {
    const seen: Record<string, number> = {}
    const bad: string[] = []
    let id = 0
    for (let macro = 0; macro < 45; macro++) {
      for (const micro of [0, 1, 2, 3, 5, 8, 13, 21, 34]) {
        const me = `t${++id}`
        const outer = new AbortController()
        const inner = new AbortController()
        const told: string[] = []
        const which = id % 4
        const work = app.shared.transaction(
          async ({ tx }) => {
            await app.shared.afterCommit(() => void told.push('commit'))
            await app.shared.afterRollback(() => void told.push('rollback'))
            await app.shared.afterCompletion((o) => void told.push(o))
            await app.shared.beforeCommit(async () => {
              await note(`${me} hook`)
              await setImmediate()
            })
            await note(`${me} a`)
            const nested = await Promise.allSettled([
              app.shared.transaction(
                () => tx.execute(`insert into note (text) values ('${me} b')`),
                { signal: inner.signal },
              ),
              app.db.transaction().execute(async (t) => {
                await t
                  .insertInto('note')
                  .values({ text: `${me} c` })
                  .execute()
              }),
            ])
            nestedOutcome.push(...nested.map(({ status }) => status))
            await note(`${me} d`)
            return 'value'
          },
          { signal: outer.signal },
        )
        const nestedOutcome: string[] = []
        const stranger = app.orm.transaction(async () => {
          await note(`${me} stranger`)
        })
        const settled = Promise.allSettled([work])
        await steps(macro, micro)
        if (which === 0 || which === 2 || which === 3) outer.abort(given)
        if (which === 3) await Promise.resolve()
        if (which !== 0) inner.abort(new Error('inner given up'))
        const [result] = await settled
        await stranger
        const { rows } = await app.observer.query<{ text: string }>(
          'select text from note where text like $1 order by 1',
          [`${me} %`],
        )
        const texts = rows.map(({ text }) => text.slice(me.length + 1))
        const own = texts.filter((text) => text !== 'stranger')
        let verdict: string
        if (result?.status === 'fulfilled') {
          verdict = 'fulfilled'
          const expected = [
            'a',
            ...(nestedOutcome[0] === 'fulfilled' ? ['b'] : []),
            ...(nestedOutcome[1] === 'fulfilled' ? ['c'] : []),
            'd',
            'hook',
          ]
          if (String(own) !== String(expected) || String(told) !== 'commit,committed')
            verdict += ` BAD ${String(own)} ${String(told)} nested ${String(nestedOutcome)}`
        } else {
          const reason = result?.reason as Error
          verdict = `${reason.name} ${reason.message.split('\n')[0]}`
          const unknown = reason instanceof TransactionOutcomeUnknownError
          if (own.length > 0 && !unknown) verdict += ` BAD rows ${String(own)}`
          if (told.length > 0 && String(told) !== 'rollback,rolled-back' && !unknown)
            verdict += ` BAD told ${String(told)}`
        }
        if (!texts.includes('stranger')) verdict += ' BAD stranger'
        if (verdict.includes('BAD') || (result?.status === 'rejected' && result.reason !== given))
          bad.push(`${macro}/${micro}/${which}: ${verdict}`)
        seen[verdict] = (seen[verdict] ?? 0) + 1
        if (
          getEventListeners(outer.signal, 'abort').length +
            getEventListeners(inner.signal, 'abort').length >
          0
        )
          bad.push(`${macro}/${micro} listeners`)
      }
    }
    expect(bad).toEqual([])
    expect(app.pool.totalCount).toBe(1)
    expect(unhandled).toEqual([])
  })
})

describe('a single client', () => {
  const app = useApp()
  test('runs transactions in turn, whichever of them is aborted', { timeout: 60000 }, async () => {
    const client = new Client({ connectionString: app.url })
    await client.connect()
    const orm = drizzle({ client })
    const shared = shareConnection(orm, { turnTimeout: 2000 })
    const bad: string[] = []
    for (let macro = 0; macro < 40; macro++) {
      const controllers = [1, 2, 3, 4].map(() => new AbortController())
      const all = Promise.allSettled(
        controllers.map(({ signal }, i) =>
          shared.transaction(
            async () => {
              await client.query('insert into note (text) values ($1)', [`s${macro} ${i}`])
              await client.query('select pg_sleep(0.005)')
            },
            i === 3 ? {} : { signal },
          ),
        ),
      )
      await steps(macro, macro)
      for (const controller of controllers) controller.abort(given)
      const settled = await all
      const { rows } = await app.observer.query(
        'select text from note where text like $1 order by 1',
        [`s${macro} %`],
      )
      const expected = settled.flatMap(({ status }, i) =>
        status === 'fulfilled' ? [`s${macro} ${i}`] : [],
      )
      const found = rows.map(({ text }: { text: string }) => text)
      if (String(expected) !== String(found))
        bad.push(`${macro} ${String(expected)} / ${String(found)}`)
      for (const one of settled)
        if (one.status === 'rejected' && one.reason !== given) bad.push(`${macro} ${one.reason}`)
      if (settled[3]?.status !== 'fulfilled') bad.push(`${macro}: stranger`)
    }
    expect(bad).toEqual([])
    expect(client.listenerCount('error')).toBeLessThan(2)
    shared.dispose()
    await client.end()
  })
})
