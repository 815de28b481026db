import type { PoolClient } from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { App } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

// The application has wrapped `query()` of its clients, and passes on a copy of its argument. Deferred
// commands cannot be piggybacked on the copy of a query, so the copy must not run.

interface Sent {
  readonly text: string
  readonly values?: unknown[]
  readonly callback?: unknown
}

let copies = true

/** Ways to copy a query. */
const ways: readonly { name: string; copy: (sent: Sent) => object | string }[] = [
  { name: 'spreads it', copy: (sent) => ({ ...sent, text: `${sent.text} /* app */` }) },
  { name: 'copies known properties', copy: ({ text, values }) => ({ text, values }) },
  { name: 'passes on its text alone', copy: ({ text }) => text },
  {
    name: 'changes its text',
    copy: (sent) => ({ ...sent, text: sent.text.replace('note', 'public.note') }),
  },
  { name: 'maps its values', copy: (sent) => ({ ...sent, values: sent.values?.map(String) }) },
]

/** Makes the clients of an application pass on copies. */
function copyAt({ pool }: App, copy: (sent: Sent) => object | string): void {
  pool.on('connect', (client: PoolClient) => {
    const query = client.query.bind(client) as (...args: unknown[]) => unknown
    const wrapped = (given: Sent, ...rest: unknown[]): unknown =>
      query(copies ? copy(given) : given, ...rest)
    Object.assign(client, { query: wrapped })
  })
}

describe.each(joining)('with $name', ({ options }) => {
  describe.each(ways)('a client whose query() $name', ({ copy }) => {
    const { app, sent, trips, clear } = useRecordedApp(options)

    beforeAll(() => copyAt(app, copy))
    beforeEach(async () => {
      await app.pool.query('select 1')
      clear()
    })
    afterEach(() => {
      copies = true
    })

    test.each(speakers)('sends nothing of a transaction of $name', async (speaker) => {
      const failure = await failureOf(
        speaker.block(app, async () => void (await speaker.note(app, 'a'))),
      )
      expect(failure).toMatchObject({ name: 'InvalidArgumentError' })
      expect(failure.message).toContain('pg was given a copy')
      expect(sent()).toEqual([])
      expect(trips()).toBe(0)
      expect(await app.rows()).toEqual([])
    })

    test('sends no statement of those issued together, and rejects each', async () => {
      const fates = await app.shared.transaction(() =>
        fatesOf(['a', 'b', 'c'].map((text) => note(app, text))),
      )
      expect(fates).toEqual(Array(3).fill('InvalidArgumentError'))
      expect(trips()).toBe(0)
      expect(await app.rows()).toEqual([])
    })

    test('sends nothing of a batch, and rejects it', async () => {
      const batch = app.shared.batch([
        app.db.insertInto('note').values({ text: 'a' }),
        app.db.insertInto('note').values({ text: 'b' }),
      ])
      expect(await failureOf(batch)).toMatchObject({ name: 'InvalidArgumentError' })
      expect(trips()).toBe(0)
      expect(await app.rows()).toEqual([])
    })

    test('sends nothing of a stream', async () => {
      const failing = app.shared.transaction(async () => {
        for await (const row of app.db.selectFrom('note').selectAll().stream(1)) {
          expect(row).toBe('never')
        }
      })
      // a client in pipeline mode takes no copy of a page at all
      expect((await failureOf(failing)).message).toMatch(/pg was given a copy|pipeline mode/)
      expect(trips()).toBe(0)
    })

    test('fails only the statements that were copied', async () => {
      const fates = await app.shared.transaction(async () => {
        const copied = await fatesOf([note(app, 'a')])
        copies = false
        return [...copied, ...(await fatesOf([note(app, 'b')]))]
      })
      expect(fates).toEqual(['InvalidArgumentError', 'done'])
      expect(sent()).toEqual(['begin', 'insert', 'commit'])
      expect(await app.rows()).toEqual(['b'])
    })

    test('commits if only COMMIT was copied', async () => {
      copies = false
      await app.shared.transaction(async () => {
        await note(app, 'a')
        copies = true
      })
      expect(sent()).toEqual(['begin', 'insert', expect.stringMatching(/^commit/)])
      expect(await app.rows()).toEqual(['a'])
    })

    test('gets the same error for values that are no array', async () => {
      const values = 'a' as unknown as unknown[]
      const failing = app.shared.transaction(() => {
        copies = false
        return app.pool.query({ text: 'select $1', values })
      })
      expect((await failureOf(failing)).message).toBe('Query values must be an array')
    })
  })
})

describe.each(joining)('with $name', ({ options }) => {
  const { app, sent, clear } = useRecordedApp(options)

  test('a query that query() changes in place is sent so, behind the statements that query() itself sends', async () => {
    const seen: unknown[] = []
    app.pool.on('connect', (client: PoolClient) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      const wrapped = (given: { values?: unknown[] }, ...rest: unknown[]): unknown => {
        seen.push(given.values)
        if (given.values) given.values = given.values.map((value) => `sealed ${String(value)}`)
        void query(`set application_name = 'tenant'`)
        return query(given, ...rest)
      }
      Object.assign(client, { query: wrapped })
    })
    clear()
    await app.shared.transaction(async () => {
      await note(app, 'a')
      await note(app, 'b')
    })
    expect(seen).toEqual([['a'], ['b'], undefined])
    expect(await app.rows()).toEqual(['sealed a', 'sealed b'])
    expect(sent()).toEqual(['set', 'begin', 'insert', 'set', 'insert', 'set', 'commit'])
  })
})
