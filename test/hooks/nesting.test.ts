import { RollbackOnlyError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { type App, useApp } from '../setup/app.ts'
import { type World, worlds } from '../setup/worlds.ts'

const boom = new Error('boom')

describe('a released savepoint', () => {
  const app = useApp()

  describe.each(worlds)('$name', ({ outer, inner }) => {
    test('whose parent is rolled back runs its rollback hooks then', async () => {
      const ran: string[] = []
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner
          .block(app, async () => {
            await outer.block(app, async () => {
              await outer.note(app, 'b')
              await app.db.afterCommit(() => void ran.push('commit'))
              await app.db.afterRollback(() => void ran.push('rollback'))
            })
            ran.push('released')
            await inner.note(app, 'c')
            throw boom
          })
          .catch(() => ran.push('the parent has rejected'))
      })
      expect(ran).toEqual(['released', 'rollback', 'the parent has rejected'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'insert a',
        'savepoint sp1',
        'savepoint sp2',
        'insert b',
        'release savepoint sp2',
        'insert c',
        'rollback to savepoint sp1',
        'commit',
      ])
      expect(await app.rows()).toEqual(['a'])
    })

    test('whose sibling is rolled back keeps its hooks', async () => {
      const ran: string[] = []
      const child = (text: string, fails: boolean) =>
        inner
          .block(app, async () => {
            await inner.note(app, text)
            await app.db.afterCommit(() => void ran.push(`commit ${text}`))
            await app.db.afterRollback(() => void ran.push(`rollback ${text}`))
            if (fails) throw boom
          })
          .catch(() => {})
      await outer.block(app, async () => {
        await Promise.all([child('a', false), child('b', true), child('c', false)])
      })
      expect(ran).toEqual(['rollback b', 'commit a', 'commit c'])
      expect(app.transcript.lines()).toEqual([
        'begin',
        'savepoint sp1',
        'insert a',
        'release savepoint sp1',
        'savepoint sp1',
        'insert b',
        'rollback to savepoint sp1',
        'release savepoint sp1',
        'savepoint sp1',
        'insert c',
        'commit',
      ])
      expect(await app.rows()).toEqual(['a', 'c'])
    })
  })
})

describe('with nesting: join', () => {
  const app = useApp({ shared: { nesting: 'join' } })
  // `nesting` does not apply to blocks of the bridge, which are savepoints by default.
  const joining = worlds.filter(({ inner }) => inner.name !== 'shared')

  describe.each(joining)('$name', (world) => {
    test('a hook of a joined block belongs to the frame that it joined', async () => {
      const ran: string[] = []
      await program(app, world, ran, false)
      expect(ran).toEqual(['joined block has ended', 'before', 'commit', 'committed'])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'commit'])
      expect(await app.rows()).toEqual(['a', 'b'])
    })

    test('a joined block that fails makes the frame rollback-only, so its rollback hooks run at the end', async () => {
      const ran: string[] = []
      const error = await program(app, world, ran, true).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(RollbackOnlyError)
      expect(error).toHaveProperty('cause', boom)
      expect(ran).toEqual(['joined block has ended', 'rollback', 'rolled-back'])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'insert b', 'rollback'])
      expect(await app.rows()).toEqual([])
    })
  })
})

async function program(
  app: App,
  { outer, inner }: World,
  ran: string[],
  fails: boolean,
): Promise<void> {
  await outer.block(app, async () => {
    await outer.note(app, 'a')
    await inner
      .block(app, async () => {
        await inner.note(app, 'b')
        await app.db.beforeCommit(() => void ran.push('before'))
        await app.db.afterCommit(() => void ran.push('commit'))
        await app.db.afterRollback(() => void ran.push('rollback'))
        await app.db.afterCompletion((outcome) => void ran.push(outcome))
        if (fails) throw boom
      })
      .catch((error) => expect(error).toBe(boom))
    ran.push('joined block has ended')
  })
}
