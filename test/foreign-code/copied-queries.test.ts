import type { PoolClient } from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { App } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { speakers } from '../setup/worlds.ts'
import { fatesOf } from '../setup/outcomes.ts'
import { joining, note, useRecordedApp } from '../setup/recorded-app.ts'

// The application has wrapped `query()` of its clients, and passes on a copy of its argument. Deferred
// commands cannot be piggybacked on the copy of a query, so they go alone, and the copy waits.

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
  {
    name: 'passes on the text alone where there are no values',
    copy: (sent) => (sent.values?.length ? { ...sent } : sent.text),
  },
  {
    name: 'changes its text',
    copy: (sent) => ({ ...sent, text: sent.text.replace(/"?note"?/, 'public.note') }),
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

    /** The verbs of what was sent, behind which the application has written a comment. */
    const verbs = (): string[] => sent().map((text) => text.replace(/ \/\*.*/, ''))

    test.each(speakers)('runs them in a transaction of $name', async (speaker) => {
      await speaker.block(app, async () => void (await speaker.note(app, 'a')))
      expect(verbs()).toEqual(['begin', 'insert', 'commit'])
      expect(await app.rows()).toEqual(['a'])
    })

    test.each(speakers)('rolls them back with a transaction of $name', async (speaker) => {
      const failing = speaker.block(app, async () => {
        await speaker.note(app, 'a')
        throw new Error('boom')
      })
      expect((await failureOf(failing)).message).toBe('boom')
      expect(verbs()).toEqual(['begin', 'insert', 'rollback'])
      expect(await app.rows()).toEqual([])
    })

    test('waits for SAVEPOINT, which goes alone, too', async () => {
      await app.shared.transaction(async () => {
        await note(app, 'a')
        await app.shared
          .transaction(async () => {
            await note(app, 'b')
            throw new Error('boom')
          })
          .catch(() => undefined)
        await note(app, 'c')
      })
      const taken = ['begin', 'insert', 'savepoint sp1', 'insert', 'rollback to savepoint sp1']
      const kept = ['insert', 'commit']
      expect(verbs().filter((text) => !text.startsWith('release'))).toEqual([...taken, ...kept])
      expect(await app.rows()).toEqual(['a', 'c'])
    })

    test('sends statements issued together one after the other', async () => {
      const fates = await app.shared.transaction(() =>
        fatesOf(['a', 'b', 'c'].map((text) => note(app, text))),
      )
      expect(fates).toEqual(Array(3).fill('done'))
      expect(verbs()).toEqual(['begin', 'insert', 'insert', 'insert', 'commit'])
      expect(await app.rows()).toEqual(['a', 'b', 'c'])
    })

    test('sends a batch, and nothing behind a statement of it that fails', async () => {
      const item = (text: string) => app.db.insertInto('note').values({ text })
      await app.shared.batch([item('a'), item('b')])
      expect(verbs()).toEqual(['begin', 'insert', 'insert', 'commit'])
      clear()
      const failing = { execute: () => app.pool.query('select 1/0') }
      expect(await failureOf(app.shared.batch([item('c'), failing, item('d')]))).toMatchObject({
        code: '22012',
      })
      expect(verbs()).toEqual(['begin', 'insert', 'select', 'rollback'])
      expect(await app.rows()).toEqual(['a', 'b'])
    })

    test('does not run them behind a BEGIN that fails', async () => {
      await app.shared.withClient(async (client) => {
        copies = false
        await client.query('set default_transaction_isolation = serializable')
        copies = true
      })
      clear()
      // the server refuses the mode of the BEGIN, and no statement follows
      const failing = app.shared.transaction(() => note(app, 'a'), {
        isolationLevel: 'serializable',
        accessMode: 'read only',
      })
      expect(await failureOf(failing)).toMatchObject({ code: '25006' })
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
    expect(seen).toEqual([['a'], ['b'], []])
    expect(await app.rows()).toEqual(['sealed a', 'sealed b'])
    expect(sent()).toEqual(['set', 'begin', 'insert', 'set', 'insert', 'set', 'commit'])
  })
})
