import { TransactionAbortedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { worlds } from '../setup/worlds.ts'

const app = useApp()

/** Runs a block that swallows a statement error, so that it cannot commit. */
async function swallow(): Promise<void> {
  await app.pool.query('select 1 / 0').catch(() => {})
}

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('a nested block that was aborted rolls back the outer one, if its error is not caught', async () => {
    const ran: string[] = []
    const error = await outer
      .block(app, async () => {
        await outer.note(app, 'a')
        await app.db.afterCommit(() => void ran.push('outer commit'))
        await app.db.afterRollback(() => void ran.push('outer rollback'))
        await inner.block(app, async () => {
          await inner.note(app, 'b')
          await app.db.afterRollback(() => void ran.push('inner rollback'))
          await swallow()
        })
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(error).toHaveProperty('cause.message', 'division by zero')
    expect(ran).toEqual(['inner rollback', 'outer rollback'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'rollback',
    ])
    expect(app.pool.idleCount, 'the client is in good order').toBeGreaterThan(0)
    expect(await app.rows()).toEqual([])
  })

  test('a nested block that was aborted does not affect the outer one, if its error is caught', async () => {
    const ran: string[] = []
    await outer.block(app, async () => {
      await outer.note(app, 'a')
      const result = inner.block(app, async () => {
        await inner.note(app, 'b')
        await app.db.afterCommit(() => void ran.push('inner commit'))
        await app.db.afterRollback(() => void ran.push('inner rollback'))
        await swallow()
      })
      await expect(result).rejects.toBeInstanceOf(TransactionAbortedError)
      await app.db.afterCommit(() => void ran.push('outer commit'))
    })
    expect(ran).toEqual(['inner rollback', 'outer commit'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'savepoint sp1',
      'insert b',
      'select',
      'rollback to savepoint sp1',
      'commit',
    ])
    expect(await app.rows()).toEqual(['a'])
  })

  test('an independent transaction that was aborted does not end the one around it', async () => {
    const ran: string[] = []
    const error = await outer
      .block(app, async () => {
        await outer.note(app, 'a')
        await app.db.afterRollback(() => void ran.push('outer rollback'))
        await app.shared.outside(() =>
          inner.block(app, async () => {
            await inner.note(app, 'b')
            await swallow()
          }),
        )
      })
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(ran).toEqual(['outer rollback'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'insert a',
      'begin',
      'insert b',
      'select',
      'commit',
      'rollback',
    ])
    expect(await app.rows()).toEqual([])
  })
})
