import type { Pool, PoolClient } from 'pg'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { places } from '../setup/worlds.ts'

// one client, so that a patch that stays on it is found
const app = useApp({ pool: { max: 1 } })
const INSERT = 'insert into note (text) values ($1)'

type Anyhow = (...args: unknown[]) => unknown
type Patched = { query: Anyhow; release: Anyhow; lastQuery?: unknown }

/**
 * Patches a client until it is released, as the guide of pg does it.
 *
 * Source: https://node-postgres.com/guides/project-structure
 */
function patch(client: PoolClient, released: unknown[]): void {
  const patched = client as unknown as Patched
  const { query, release } = patched
  patched.query = (...args) => {
    patched.lastQuery = args
    return query.apply(patched, args)
  }
  patched.release = () => {
    released.push(patched.lastQuery)
    patched.query = query
    patched.release = release
    return release.apply(patched)
  }
}

const sent = (): string[] => app.transcript.lines().filter((line) => !/^(begin|commit)/.test(line))

describe.each(places)('a client of the pool, $name,', (place) => {
  test('can be patched until it is released', async () => {
    const run = async (pool: Pool, text: string): Promise<unknown[]> => {
      const released: unknown[] = []
      const client = await pool.connect()
      patch(client, released)
      await client.query(INSERT, [text])
      client.release()
      // nothing of it is there for the next one
      const next = await pool.connect()
      await next.query('select 1')
      next.release()
      return released
    }
    await place.run(app, async () => expect(await run(app.pool, 'a')).toEqual([[INSERT, ['a']]]))
    expect(await run(app.observer, 'b')).toEqual([[INSERT, ['b']]])
    expect(sent()).toEqual(['insert a', 'select'])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('has its own methods again after a patch is deleted', async () => {
    await place.run(app, async () => {
      const client = (await app.pool.connect()) as unknown as Patched
      const { query, release } = client
      const never = (): void => expect.unreachable()
      Object.defineProperty(client, 'query', { value: never, configurable: true, writable: true })
      Object.assign(client, { release: never })
      expect([client.query, client.release]).toEqual([never, never])
      Reflect.deleteProperty(client, 'query')
      Reflect.deleteProperty(client, 'release')
      expect([client.query, client.release]).toEqual([query, release])
      await client.query(INSERT, ['a'])
      client.release()
    })
    expect(sent()).toEqual(['insert a'])
    expect(await app.rows()).toEqual(['a'])
  })

  test('is not patched by methods of an object that inherits from it', async () => {
    const asked: unknown[] = []
    await place.run(app, async () => {
      const client = await app.pool.connect()
      const child = Object.create(client) as Patched
      child.query = (...args) => {
        asked.push(args[0])
        return client.query(...(args as [string]))
      }
      await child.query(INSERT, ['a'])
      await client.query(INSERT, ['b'])
      client.release()
    })
    expect(asked).toEqual([INSERT])
    expect(sent()).toEqual(['insert a', 'insert b'])
    expect(await app.rows()).toEqual(['a', 'b'])
  })

  test('keeps other properties, for its next user', async () => {
    await place.run(app, async () => {
      const first = (await app.pool.connect()) as PoolClient & Patched
      first.lastQuery = 'mine'
      first.release()
      const second = (await app.pool.connect()) as PoolClient & Patched
      expect(second.lastQuery).toBe('mine')
      Reflect.deleteProperty(second, 'lastQuery')
      expect('lastQuery' in second).toBe(false)
      second.release()
    })
    expect(sent()).toEqual([])
    expect(await app.rows()).toEqual([])
  })
})

test('a patch reaches neither the physical client nor the pool', async () => {
  const client = await app.pool.connect()
  patch(client, [])
  const ownOf = (): Promise<boolean> => {
    return app.shared.withClient((physical) => Object.hasOwn(physical, 'query'))
  }
  // it forgets to put back what it has found
  client.release = client.release.bind(client)
  client.release()
  expect(await ownOf()).toBe(false)
  await app.pool.query(INSERT, ['a'])
  expect(sent()).toEqual(['insert a'])
  expect(await app.rows()).toEqual(['a'])
})
