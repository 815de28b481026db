import { eq } from 'drizzle-orm'
import { describe, expect, test } from 'vitest'
import { notes, replies } from '../setup/app.ts'
import { useCachedApp } from '../setup/cached-app.ts'
import { speakers, worlds } from '../setup/worlds.ts'

const boom = new Error('boom')

describe.each(['all', 'explicit'] as const)('with the strategy %s', (strategy) => {
  const app = useCachedApp(strategy)

  test('the cache works as usual outside a transaction', async () => {
    await app.orm.insert(notes).values({ text: 'a' })
    expect(await app.cached()).toEqual(['a'])
    expect(await app.cached()).toEqual(['a'])
    expect(app.cache.calls).toEqual(['forget note', 'miss note', 'put note', 'hit note'])
    expect(app.transcript.lines()).toEqual(['insert a', 'select'])
    await app.orm.update(notes).set({ text: 'b' }).where(eq(notes.text, 'a'))
    expect(await app.cached()).toEqual(['b'])
    expect(await app.rows()).toEqual(['b'])
  })

  describe.each(speakers)('a transaction of $name', (speaker) => {
    test('neither reads nor fills the cache', async () => {
      await app.observer.query("insert into note (text) values ('a')")
      await app.warm()
      await app.observer.query("insert into note (text) values ('behind its back')")
      await speaker.block(app, async () => {
        // The rows come from the server, not from the cache.
        expect(await app.cached()).toEqual(['a', 'behind its back'])
        expect(await app.cached()).toEqual(['a', 'behind its back'])
      })
      expect(app.cache.calls).toEqual([])
      expect(await app.cached()).toEqual(['a'])
      expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'commit'])
      expect(await app.rows()).toEqual(['a', 'behind its back'])
    })

    test('that rolls back serves no phantom row afterwards', async () => {
      await app.warm()
      await speaker
        .block(app, async () => {
          await speaker.note(app, 'phantom')
          expect(await app.cached()).toEqual(['phantom'])
          throw boom
        })
        .catch(() => {})
      expect(await app.cached()).toEqual([])
      expect(app.transcript.lines().slice(0, 4)).toEqual([
        'begin',
        'insert phantom',
        'select',
        'rollback',
      ])
      expect(await app.rows()).toEqual([])
    })

    test('that commits is seen by the next cached read', async () => {
      await app.warm()
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        expect(await app.shared.outside(() => app.cached())).toEqual([])
      })
      expect(await app.cached()).toEqual(['a'])
      expect(app.cache.forgotten).toHaveLength(1)
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'select'])
      expect(await app.rows()).toEqual(['a'])
    })

    test('is invalidated after COMMIT, not before', async () => {
      await app.warm()
      let committed: string[] = []
      app.cache.onForget = async () => {
        committed = await app.rows()
      }
      await speaker.block(app, async () => {
        await speaker.note(app, 'a')
        expect(app.cache.forgotten).toEqual([])
      })
      expect(committed).toEqual(['a'])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
    })

    test('has invalidated its tables when its hooks run', async () => {
      await app.warm()
      const seen: string[][] = []
      await speaker.block(app, async () => {
        await app.db.afterCommit(async () => void seen.push(await app.cached()))
        await speaker.note(app, 'a')
      })
      expect(seen).toEqual([['a']])
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit', 'select'])
      expect(await app.rows()).toEqual(['a'])
    })

    test('that only reads invalidates nothing', async () => {
      await app.warm()
      await speaker.block(app, async () => {
        await app.cached()
        await app.db.selectFrom('note').selectAll().execute()
        await app.pool.query('select 1')
      })
      expect(app.cache.forgotten).toEqual([])
      await app.cached()
      expect(app.transcript.lines()).toEqual(['begin', 'select', 'select', 'select', 'commit'])
    })

    test('that is aborted by a swallowed error makes no row appear', async () => {
      await app.warm()
      await speaker
        .block(app, async () => {
          await speaker.note(app, 'a')
          await app.pool.query('select 1 / 0').catch(() => {})
        })
        .catch(() => {})
      expect(await app.cached()).toEqual([])
      expect(app.transcript.lines().slice(0, 4)).toEqual(['begin', 'insert a', 'select', 'commit'])
      expect(await app.rows()).toEqual([])
    })

    test('stays committed, and its hooks run, if the cache fails', async () => {
      await app.warm()
      app.cache.onForget = () => {
        throw boom
      }
      let ran = false
      const error = await speaker
        .block(app, async () => {
          await speaker.note(app, 'a')
          await app.db.afterCommit(() => void (ran = true))
        })
        .catch((reason: unknown) => reason)
      expect(error).toMatchObject({ name: 'HookError', outcome: 'committed', errors: [boom] })
      expect(ran).toBe(true)
      expect(app.transcript.lines()).toEqual(['begin', 'insert a', 'commit'])
      expect(await app.rows()).toEqual(['a'])
    })
  })

  describe.each(worlds)('$name', ({ outer, inner }) => {
    test('the tables that both layers wrote to are invalidated once, after the outermost commit', async () => {
      await app.observer.query("insert into note (text) values ('a')")
      await app.warm()
      await outer.block(app, async () => {
        await outer.note(app, 'b')
        await inner.block(app, async () => {
          await app.db.insertInto('reply').values({ note_id: 1, text: 'r' }).execute()
        })
        await app.orm.insert(replies).values({ note_id: 1, text: 's' })
        expect(app.cache.forgotten).toEqual([])
      })
      expect(app.cache.forgotten).toEqual(['forget note,reply'])
      expect(await app.cached()).toEqual(['a', 'b'])
      expect(await app.cachedReplies()).toEqual(['r', 's'])
      expect(app.transcript.lines().filter((line) => line === 'commit')).toHaveLength(1)
      expect(await app.rows()).toEqual(['a', 'b'])
    })

    test('a savepoint that is rolled back leaves no phantom row', async () => {
      await app.warm()
      await outer.block(app, async () => {
        await outer.note(app, 'a')
        await inner
          .block(app, async () => {
            await inner.note(app, 'phantom')
            expect(await app.cached()).toEqual(['a', 'phantom'])
            throw boom
          })
          .catch(() => {})
        expect(await app.cached()).toEqual(['a'])
      })
      expect(await app.cached()).toEqual(['a'])
      expect(app.transcript.lines()).toContain('rollback to savepoint sp1')
      expect(await app.rows()).toEqual(['a'])
    })
  })
})
