import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { manners, worlds } from '../setup/worlds.ts'

const boom = new Error('boom')

describe.each(manners)('$name', ({ options }) => {
  const app = useApp(options)

  test.each(worlds)('hooks run the same in $name', async ({ outer, inner }) => {
    const ran: string[] = []
    const register = async (frame: string): Promise<void> => {
      await app.db.beforeCommit(() => void ran.push(`${frame}: before`))
      await app.shared.afterCommit(async () => {
        await outer.note(app, `${frame}: hook`)
        ran.push(`${frame}: commit`)
      })
      await app.db.afterRollback(() => void ran.push(`${frame}: rollback`))
      await app.shared.afterCompletion((outcome) => void ran.push(`${frame}: ${outcome}`))
    }
    await outer.block(app, async () => {
      await register('outer')
      await outer.note(app, 'a')
      await inner.block(app, async () => {
        await register('kept')
        await inner.note(app, 'b')
      })
      await inner
        .block(app, async () => {
          await register('dropped')
          await inner.note(app, 'c')
          throw boom
        })
        .catch((error) => expect(error).toBe(boom))
      ran.push('the block ends')
    })
    expect(ran).toEqual([
      'dropped: rollback',
      'dropped: rolled-back',
      'the block ends',
      'outer: before',
      'kept: before',
      'outer: commit',
      'outer: committed',
      'kept: commit',
      'kept: committed',
    ])
    // If nothing is deferred, releases are sent that would be dropped otherwise.
    const sent = app.transcript.lines().filter((line) => !line.startsWith('release'))
    expect(sent).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'savepoint sp1',
      'insert c',
      'rollback to savepoint sp1',
      'commit',
      'insert outer: hook',
      'insert kept: hook',
    ])
    expect(await app.rows()).toEqual(['a', 'b', 'outer: hook', 'kept: hook'])
  })
})
