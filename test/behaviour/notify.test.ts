import { sql as drizzleSql } from 'drizzle-orm'
import { sql } from 'kysely'
import type { PoolClient } from 'pg'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { speakers } from '../setup/worlds.ts'

const NEWS = `select payload from pg_notify('news', $1) as payload`

/** A listener on the channel `news`. */
interface Listener {
  /** The notifications, in order. */
  readonly heard: string[]
  /** Resolves when this notification has arrived. */
  hears(payload: string): Promise<void>
  /** Makes the server deliver pending notifications. */
  ask(): Promise<unknown>
  stop(): Promise<void>
}

async function listen(client: PoolClient, onNews = (): void => {}): Promise<Listener> {
  const heard: string[] = []
  const expected = new Map<string, () => void>()
  const onNotification = ({ payload = '' }: { payload?: string | undefined }): void => {
    heard.push(payload)
    onNews()
    expected.get(payload)?.()
  }
  client.on('notification', onNotification)
  await client.query('listen news')
  return {
    heard,
    async hears(payload) {
      if (!heard.includes(payload)) {
        await new Promise<void>((resolve) => expected.set(payload, resolve))
      }
    },
    ask: () => client.query('select 1'),
    async stop() {
      await client.query('unlisten news')
      client.removeListener('notification', onNotification)
      client.release()
    },
  }
}

describe.each(speakers)('NOTIFY in a transaction of $name', (speaker) => {
  const app = useApp()

  test('is delivered after COMMIT, not before, whichever layer sent it', async () => {
    const listener = await listen(await app.observer.connect())
    await speaker.block(app, async () => {
      await app.orm.execute(drizzleSql`notify news, 'by Drizzle'`)
      await sql`notify news, 'by Kysely'`.execute(app.db)
      await app.pool.query(NEWS, ['by pg'])
      // The server delivers duplicates once.
      await app.pool.query(NEWS, ['by pg'])
      await listener.ask()
      expect(listener.heard).toEqual([])
    })
    await listener.hears('by pg')
    expect(listener.heard).toEqual(['by Drizzle', 'by Kysely', 'by pg'])
    await listener.stop()
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'notify',
      'notify',
      'select by pg',
      'select by pg',
      'commit',
    ])
  })

  test('is not delivered after ROLLBACK', async () => {
    const boom = new Error('boom')
    const listener = await listen(await app.observer.connect())
    const failing = speaker.block(app, async () => {
      await speaker.note(app, 'a')
      await app.pool.query(NEWS, ['gone'])
      throw boom
    })
    await expect(failing).rejects.toBe(boom)
    await app.pool.query(NEWS, ['next'])
    // Notifications arrive in the order of the commits.
    await listener.hears('next')
    expect(listener.heard).toEqual(['next'])
    await listener.stop()
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'select gone',
      'rollback',
      'select next',
    ])
  })

  test('of a savepoint that is rolled back is not delivered, but that of its parent is', async () => {
    const listener = await listen(await app.observer.connect())
    await speaker.block(app, async () => {
      await app.pool.query(NEWS, ['before'])
      const nested = speaker.block(app, async () => {
        await app.pool.query(NEWS, ['gone'])
        throw new Error('boom')
      })
      await expect(nested).rejects.toThrow('boom')
      await app.pool.query(NEWS, ['behind'])
    })
    await listener.hears('behind')
    expect(listener.heard).toEqual(['before', 'behind'])
    await listener.stop()
    expect(app.transcript.lines()).toEqual([
      'begin',
      'select before',
      'savepoint sp1',
      'select gone',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'select behind',
      'commit',
    ])
  })
})

describe('LISTEN', () => {
  const app = useApp()

  test.each(speakers)(
    'on a client of the pool receives what $name has committed',
    async (speaker) => {
      const listener = await listen(await app.pool.connect())
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        await app.pool.query(NEWS, ['a'])
        await listener.ask()
        expect(listener.heard).toEqual([])
      })
      await listener.hears('a')
      expect(listener.heard).toEqual(['a'])
      await listener.stop()
      expect(await app.rows()).toEqual(['a'])
    },
  )
})

describe('LISTEN on a client that was opened', () => {
  // Each client is a new one, which connects in the scope of the request.
  const app = useApp({ pool: { maxUses: 1 } })

  test.each(speakers)(
    'in a transaction of $name receives notifications outside of it',
    async (speaker) => {
      const places: unknown[] = []
      await speaker.block(app, async () => {
        const client = await app.shared.outside(() => app.pool.connect())
        const listener = await listen(client, () => places.push(app.shared.current))
        await app.shared.outside(() => app.pool.query(NEWS, ['a']))
        await listener.hears('a')
        expect(app.shared.inTransaction).toBe(true)
        await listener.stop()
      })
      expect(places).toEqual([undefined])
    },
  )
})

describe('LISTEN in a transaction', () => {
  const app = useApp({ pool: { max: 1 } })

  async function channels(): Promise<unknown[]> {
    const { rows } = await app.pool.query('select pg_listening_channels() as channel')
    return rows
  }

  test.each(speakers)('of $name takes effect when that has committed', async (speaker) => {
    await speaker.block(app, async () => {
      await app.pool.query('listen news')
    })
    expect(await channels()).toEqual([{ channel: 'news' }])
    await app.pool.query('unlisten news')
    expect(app.transcript.lines()).toEqual(['begin', 'listen', 'commit', 'select', 'unlisten'])
  })

  test.each(speakers)('of $name is rolled back with it', async (speaker) => {
    const failing = speaker.block(app, async () => {
      await app.pool.query('listen news')
      throw new Error('boom')
    })
    await expect(failing).rejects.toThrow('boom')
    expect(await channels()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'listen', 'rollback', 'select'])
  })
})
