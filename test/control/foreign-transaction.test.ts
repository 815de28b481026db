import { drizzle } from 'drizzle-orm/node-postgres'
import { Client, type PoolClient } from 'pg'
import { shareConnection } from 'shared-connection'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { note, useRecordedApp } from '../setup/recorded-app.ts'
import { mannersHere, speakers } from '../setup/worlds.ts'

// The session of a client is in a transaction that something other than the bridge has begun. COMMIT and
// ROLLBACK of the bridge would end that one, so nothing is sent.

const FOREIGN = {
  name: 'TransactionDriftError',
  message: expect.stringMatching(/^BEGIN was not sent.*\(status T\)/) as unknown,
}

const manners = mannersHere([
  { name: 'a lazy bridge', options: {} },
  { name: 'a bridge that is not lazy', options: { shared: { lazy: false } } },
  { name: 'a client in pipeline mode', options: { pool: { pipeline: true } } },
  { name: 'nobody listening', options: { unheard: true } },
])

describe.each(manners)('with $name', ({ options }) => {
  const { app, sent, clear } = useRecordedApp(options)
  let begins = true
  let before = ''

  beforeAll(() => {
    app.pool.on('connect', (client: PoolClient) => {
      clear()
      if (begins) client.query(before).catch(() => undefined)
    })
  })
  beforeEach(async () => {
    // the next client is a new one
    begins = false
    const client = await app.pool.connect()
    client.release(true)
    begins = true
  })

  const states = [
    { name: 'has begun a transaction', text: 'begin' },
    { name: 'hides warnings', text: 'set client_min_messages = error; begin' },
  ]

  describe.each(states)('where a listener of the pool $name', ({ text: sentBefore }) => {
    beforeAll(() => {
      before = sentBefore
    })

    test.each(speakers)('a transaction of $name is refused, unsent', async (speaker) => {
      const failing = speaker.block(app, async () => void (await speaker.note(app, 'a')))
      expect(await failureOf(failing)).toMatchObject(FOREIGN)
      // what the listener has sent, and nothing of the bridge
      expect(sent()).toHaveLength(1)
      expect(await app.rows()).toEqual([])
    })

    test('so is a batch, and each of the statements that are issued together', async () => {
      const items = ['a', 'b'].map((text) => app.db.insertInto('note').values({ text }))
      expect(await failureOf(app.shared.batch(items))).toMatchObject(FOREIGN)
      const together = app.shared.transaction(() =>
        Promise.all(['a', 'b'].map((text) => note(app, text))),
      )
      expect(await failureOf(together)).toMatchObject(FOREIGN)
      expect(await app.rows()).toEqual([])
    })

    test('the block rejects though its callback swallows the error', async () => {
      const swallowing = app.shared.transaction(async () => {
        await note(app, 'a').catch(() => undefined)
        await note(app, 'b').catch(() => undefined)
      })
      const error = await failureOf(swallowing)
      if (options.shared?.lazy === false) expect(error).toMatchObject(FOREIGN)
      else expect(error).toMatchObject({ name: 'TransactionAbortedError', cause: FOREIGN })
      expect(await app.rows()).toEqual([])
    })

    test('so is one of a leased client', async () => {
      const client = await app.pool.connect()
      const failing = (async () => {
        await client.query('begin')
        await client.query('select 1')
      })()
      const error = await failureOf(failing)
      client.release()
      expect(error).toMatchObject(FOREIGN)
      expect(await app.rows()).toEqual([])
    })

    test('the client is discarded, and the next one works', async () => {
      await failureOf(app.shared.transaction(() => note(app, 'a')))
      begins = false
      await app.shared.transaction(() => note(app, 'b'))
      expect(await app.rows()).toEqual(['b'])
    })
  })
})

describe('a single client in a transaction of somebody else', () => {
  const app = useApp()

  test.each([true, false])('is refused and left open (lazy: %s)', async (lazy) => {
    const client = new Client({ connectionString: app.url })
    await client.connect()
    await client.query('begin')
    await client.query(`insert into note (text) values ('theirs')`)
    const orm = drizzle({ client })
    const shared = shareConnection(orm, { lazy })
    const insert = () => orm.transaction((tx) => tx.insert(notes).values({ text: 'ours' }))
    expect(await failureOf(insert())).toMatchObject(FOREIGN)
    await shared.withClient((physical) => physical.query('commit'))
    await insert()
    expect(await app.rows()).toEqual(['theirs', 'ours'])
    shared.dispose()
    await client.end()
  })
})

describe('a client whose query() sends something else than BEGIN', () => {
  const app = useApp({ pool: { max: 1 }, shared: { lazy: false } })

  test('is refused by the tag of the answer', async () => {
    app.pool.on('connect', (client: PoolClient) => {
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      const wrapped = (given: { text?: string }, ...rest: unknown[]): unknown => {
        if (given.text === 'begin') given.text = 'select 1'
        return query(given, ...rest)
      }
      Object.assign(client, { query: wrapped })
    })
    const error = await failureOf(app.shared.transaction(() => note(app, 'a')))
    expect(error).toMatchObject({ name: 'TransactionDriftError' })
    expect(error.message).toMatch(/^BEGIN was answered by the tag SELECT/)
    expect(await app.rows()).toEqual([])
  })
})

describe('a client in pipeline mode whose query() begins a transaction first', () => {
  const app = useApp({ pool: { max: 1, pipeline: true }, unheard: true })

  test('is closed when the server warns of it', async () => {
    app.pool.on('connect', (client: PoolClient) => {
      client.removeAllListeners('notice')
      const query = client.query.bind(client) as (...args: unknown[]) => unknown
      const wrapped = (given: { text?: string }, ...rest: unknown[]): unknown => {
        void Promise.resolve(query('begin')).catch(() => undefined)
        return query(given, ...rest)
      }
      Object.assign(client, { query: wrapped })
    })
    const error = await failureOf(app.shared.transaction(() => note(app, 'a')))
    expect(error).toMatchObject({ name: 'TransactionDriftError' })
    expect(error.message).toMatch(/^the server has answered BEGIN by warning 25001/)
    expect(await app.rows()).toEqual([])
  })
})
