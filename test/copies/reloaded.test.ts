import { Pool } from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { notes, useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { bundle, type Copy, type Libraries, useCopy, type World, keepExtension } from './copy.ts'

keepExtension()
const app = useApp()

let pool: Pool
beforeEach(() => {
  pool = new Pool({ connectionString: app.url, max: 2 })
})
afterEach(() => pool.end())

describe.each<Libraries>(['own', 'common'])('with their %s libraries', (libraries) => {
  test('six copies after five reloads share one transaction', async () => {
    const load = await bundle(libraries)
    const worlds: World[] = []
    for (let n = 0; n < 6; n++) worlds.push(useCopy(load(), pool, worlds[0]?.orm))
    const ids = new Set<unknown>()
    const open = async ([world, ...rest]: readonly World[]): Promise<void> => {
      if (world === undefined) throw new Error('boom')
      await world.db.transaction().execute(async (trx) => {
        ids.add(world.shared.of(trx).id)
        await trx
          .insertInto('note')
          .values({ text: `kysely ${ids.size}` })
          .execute()
        await world.orm.insert(notes).values({ text: `drizzle ${ids.size}` })
        await open(rest).catch(() => undefined)
      })
    }
    await worlds[0]?.shared
      .transaction(async () => {
        await open(worlds.slice(1))
        throw new Error('boom')
      })
      .catch(() => undefined)
    expect(await app.rows()).toEqual([])
    expect(ids.size).toBe(5)

    await open(worlds)
    expect(await app.rows()).toHaveLength(12)
    worlds[5]?.shared.dispose()
  })

  test('what one copy disposes of is as it was, and can be shared anew', async () => {
    const load = await bundle(libraries)
    const a = useCopy(load(), pool)
    const b = useCopy(load(), pool, a.orm)
    const own = b.drizzle({ client: pool })
    b.bridge.shareConnection(own)
    await a.orm.transaction(async () => {
      expect(await failureOf((async () => b.shared.dispose())())).toBeInstanceOf(
        a.bridge.DisposeError,
      )
    })
    a.shared.dispose()
    expect(Object.hasOwn(pool, 'query')).toBe(false)
    expect(Object.hasOwn(pool, 'connect')).toBe(false)
    const { session } = own._ as unknown as { session: { client: unknown } }
    expect(session.client).toBe(pool)
    expect(await failureOf(b.shared.transaction(() => undefined))).toBeInstanceOf(
      a.bridge.DisposeError,
    )

    const again = b.bridge.shareConnection(own)
    // the one that was disposed of has nothing left to let go
    b.shared.dispose()
    a.shared.dispose()
    expect(a.bridge.shareConnection(own)).not.toBe(a.shared)
    await again.transaction(() => own.insert(notes).values({ text: 'a' }))
    again.dispose()
    expect(await app.rows()).toEqual(['a'])
    expect(app.transcript.lines()).toContain('commit')
  })
})

describe('extensions', () => {
  const install = (copy: Copy, name: string, fn: (db: unknown) => unknown): void =>
    copy.bridge.registerExtension(name, fn)
  const extend = (copy: Copy, name: string): unknown => {
    const dialect = new copy.kysely.PostgresDialect({ pool })
    const db = new copy.kysely.Kysely<never>({ dialect })
    return (db as unknown as { extension(name: string): unknown }).extension(name)
  }

  test('one that was registered with a copy is known to the others', async () => {
    const load = await bundle('own')
    const a = load()
    const b = load()
    install(a, 'of-a', () => 'a')
    expect(extend(b, 'of-a')).toBe('a')
  })

  test('the module that registers one is evaluated with each copy', async () => {
    const load = await bundle('own')
    const a = load()
    const b = load()
    install(a, 'of-both', () => 'a')
    install(b, 'of-both', () => 'b')
    expect(extend(a, 'of-both')).toBe('a')
    expect(extend(b, 'of-both')).toBe('b')
    expect(extend(load(), 'of-both')).toBe('b')
    expect(() => install(a, 'of-both', () => 'c')).toThrow('registered already')
  })

  test('what another copy has shared counts where no Drizzle database is named', async () => {
    const load = await bundle('own')
    const a = load()
    const shared = a.bridge.shareConnection(a.drizzle({ client: pool }), { name: 'of a' })
    expect(() => extend(load(), 'shared-connection')).toThrow('of a')
    shared.dispose()
    app.shared.dispose()
    const b = load()
    b.bridge.shareConnection(b.drizzle({ client: pool })).kysely()
    const db = extend(load(), 'shared-connection') as World['db']
    await db.transaction().execute(async (trx) => {
      await trx.insertInto('note').values({ text: 'a' }).execute()
    })
    db.shared.dispose()
    expect(await app.rows()).toEqual(['a'])
  })
})

test('another version on the same pool is refused', async () => {
  const load = await bundle('own')
  const loadOther = await bundle('own', '99.1.2')
  const ours = load()
  const other = loadOther()
  const { version } = (
    await import('../../packages/bridge/package.json', { with: { type: 'json' } })
  ).default
  for (const [first, second, versions] of [
    [ours, other, [version, '99.1.2']],
    [other, ours, ['99.1.2', version]],
  ] as const) {
    const shared = first.bridge.shareConnection(first.drizzle({ client: pool }))
    const orm = second.drizzle({ client: pool })
    const share = () => second.bridge.shareConnection(orm)
    expect(share).toThrow(
      `this pool is shared by version ${versions[0]} of shared-connection, and this is version ${versions[1]}`,
    )
    expect(share).toThrow(ours.bridge.InvalidArgumentError)
    expect(await orm.select().from(notes)).toEqual([])
    await shared.transaction(() => first.drizzle({ client: pool }).select().from(notes))
    shared.dispose()
    second.bridge.shareConnection(orm).dispose()
  }
})
