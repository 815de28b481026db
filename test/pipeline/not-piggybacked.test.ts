import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { PoolClient } from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { beforeEach, describe, expect, test } from 'vitest'
import type { App } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { recorder } from '../setup/recorder.ts'
import { speakers } from '../setup/worlds.ts'
import { refuse, useRefusingApp } from './accounts.ts'
import { useRecordedApp } from '../setup/recorded-app.ts'

// Nothing is piggybacked on these: deferred commands go in front of them, in a round trip of their own.

interface Other {
  readonly name: string
  readonly verb: string
  readonly rows: readonly string[]
  readonly run: (app: App) => Promise<unknown>
  /** pg itself hangs after an error among pages, so pages have none. */
  readonly fail?: (app: App) => Promise<unknown>
}

const WRITE = "insert into note (text) values ('x') returning text"
const FAILING = 'select 1 / i from generate_series(0, 1) i'

async function lend<T>({ pool }: App, fn: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  try {
    return await fn(client)
  } finally {
    client.release()
  }
}

const others: readonly Other[] = [
  {
    name: 'several commands in one text',
    verb: 'insert',
    rows: ['x', 'y'],
    run: ({ pool }) => pool.query(`${WRITE}; insert into note (text) values ('y');`),
    fail: ({ pool }) => pool.query(`${WRITE}; ${FAILING}`),
  },
  {
    name: 'pg-cursor',
    verb: 'insert',
    rows: ['x'],
    run: (app) => lend(app, (client) => client.query(new Cursor(WRITE)).read(10)),
    fail: (app) => lend(app, (client) => client.query(new Cursor(FAILING)).read(10)),
  },
  {
    name: 'pg-query-stream',
    verb: 'insert',
    rows: ['x'],
    run: (app) => lend(app, (client) => client.query(new QueryStream(WRITE)).toArray()),
    fail: (app) => lend(app, (client) => client.query(new QueryStream(FAILING)).toArray()),
  },
  {
    name: 'COPY FROM of pg-copy-streams',
    verb: 'copy',
    rows: ['x', 'y'],
    run: (app) =>
      lend(app, (client) =>
        pipeline(
          Readable.from(['x\n', 'y\n']),
          client.query(copyFrom('copy note (text) from stdin')),
        ),
      ),
    fail: (app) =>
      lend(app, (client) =>
        pipeline(
          Readable.from(['x\n', 'x\n']),
          client.query(copyFrom('copy note (text) from stdin')),
        ),
      ),
  },
  {
    name: 'COPY TO of pg-copy-streams',
    verb: 'copy',
    rows: [],
    run: (app) => lend(app, (client) => client.query(copyTo('copy note to stdout')).toArray()),
    fail: (app) =>
      lend(app, (client) => client.query(copyTo(`copy (${FAILING}) to stdout`)).toArray()),
  },
  {
    name: 'pages of rows',
    verb: 'insert',
    rows: ['x'],
    run: ({ pool }) => pool.query({ text: WRITE, rows: 2 } as { text: string }),
  },
]

const { app, sent, trips, clear } = useRecordedApp()

describe.each(others)('$name', ({ name, verb, rows, run, fail }) => {
  const failing = (): Promise<unknown> => fail?.(app) ?? Promise.resolve()

  describe.each(speakers)('in a transaction of $name', (speaker) => {
    test('goes behind BEGIN and SAVEPOINT, which are one more round trip', async () => {
      clear()
      await speaker.block(app, () => speaker.block(app, () => run(app)))
      // the deferred commands are piggybacked on the empty text
      expect(sent()).toEqual(['begin', 'savepoint sp1', '', verb, 'commit'])
      expect(trips()).toBe(3)
      expect(await app.rows()).toEqual(rows)
    })

    test('goes behind RELEASE, which is one more', async () => {
      clear()
      await speaker.block(app, async () => {
        await speaker.block(app, () => speaker.note(app, 'p'))
        await run(app)
      })
      expect(sent()).toEqual([
        'begin',
        'savepoint sp1',
        'insert',
        'release savepoint sp1',
        '',
        verb,
        'commit',
      ])
      expect(trips()).toBe(4)
      expect(await app.rows()).toEqual(['p', ...rows])
    })

    test.runIf(fail)('that fails in a savepoint rolls back that alone', async () => {
      clear()
      await speaker.block(app, async () => {
        expect(await failureOf(speaker.block(app, failing))).toHaveProperty('code')
        await speaker.note(app, 'q')
      })
      expect(sent()).toEqual([
        'begin',
        'savepoint sp1',
        '',
        verb === 'copy' || name.startsWith('several') ? verb : 'select',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'insert',
        'commit',
      ])
      expect(await app.rows()).toEqual(['q'])
    })

    test.runIf(fail)('that fails first fails the transaction, swallowed or not', async () => {
      const failure = await failureOf(speaker.block(app, failing))
      expect(failure).toHaveProperty('code')
      const swallowed = speaker.block(app, async () => {
        await failureOf(failing())
      })
      expect(await failureOf(swallowed)).toMatchObject({
        name: 'TransactionAbortedError',
        cause: { code: (failure as { code?: string }).code },
      })
      expect(await app.rows()).toEqual([])
      await speaker.block(app, () => speaker.note(app, 'next'))
      expect(await app.rows()).toEqual(['next'])
    })
  })
})

describe.each([
  { name: 'deferred', lazy: true },
  { name: 'not deferred', lazy: false },
])('behind a command that is refused, $name,', ({ lazy }) => {
  const wire = recorder()
  const refusing = useRefusingApp(lazy, { stream: () => wire.stream() })
  beforeEach(() => wire.clear())

  describe.each(others)('$name', ({ run }) => {
    test.each(speakers)('is not sent behind a BEGIN of $name', async (speaker) => {
      refuse('begin')
      expect(await failureOf(speaker.block(refusing, () => run(refusing)))).toMatchObject({
        code: '42601',
      })
      expect(wire.statements().filter((text) => /insert|copy/.test(text))).toEqual([])
      expect(await refusing.rows()).toEqual([])
    })

    test.each(speakers)('is not sent behind a SAVEPOINT of $name', async (speaker) => {
      refuse('savepoint sp1')
      const failing = speaker.block(refusing, async () => {
        await speaker.note(refusing, 'p')
        await speaker.block(refusing, () => run(refusing))
      })
      expect(await failureOf(failing)).toMatchObject({ code: '42601' })
      expect(wire.statements().filter((text) => /insert|copy/.test(text))).toHaveLength(1)
      expect(wire.statements().at(-1)).toBe('rollback')
      expect(await refusing.rows()).toEqual([])
    })

    test.each(speakers)('is not sent behind a RELEASE of $name', async (speaker) => {
      refuse('release savepoint sp1')
      const failing = speaker.block(refusing, async () => {
        await speaker.block(refusing, () => speaker.note(refusing, 'p'))
        await run(refusing)
      })
      expect(await failureOf(failing)).toMatchObject({ code: '42601' })
      expect(wire.statements().filter((text) => /insert|copy/.test(text))).toHaveLength(1)
      expect(wire.statements().at(-1)).toBe('rollback')
      expect(await refusing.rows()).toEqual([])
    })
  })
})
