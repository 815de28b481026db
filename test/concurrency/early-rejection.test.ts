import { setImmediate } from 'node:timers/promises'
import { TransactionAbortedError, TransactionClosedError } from 'shared-connection'
import { describe, expect, test } from 'vitest'
import { useApp } from '../setup/app.ts'
import { failureOf } from '../setup/failure.ts'
import { worlds } from '../setup/worlds.ts'
import { gate } from '../setup/gate.ts'
import { outcomes } from '../setup/outcomes.ts'

const app = useApp()
const boom = new Error('boom')

describe.each(worlds)('$name', ({ outer, inner }) => {
  test('all() that is caught rejects while a sibling still runs, and that sibling commits', async () => {
    const goOn = gate()
    let slow: Promise<unknown> | undefined
    await outer.block(app, async () => {
      const opened = gate()
      const quick = inner.block(app, async () => {
        opened.open()
        await inner.note(app, 'quick')
        throw boom
      })
      await opened.passed
      slow = outer.block(app, async () => {
        await outer.note(app, 'slow1')
        await goOn.passed
        await inner.note(app, 'slow2')
      })
      expect(await failureOf(Promise.all([quick, slow]))).toBe(boom)
      // waits for the sibling, which nobody awaits any more
      const own = Promise.resolve(outer.note(app, 'p'))
      goOn.open()
      await own
    })
    expect(await outcomes([slow])).toEqual(['fulfilled'])
    expect(await app.rows()).toEqual(['slow1', 'slow2', 'p'])
    expect(app.transcript.lines()).toEqual([
      'begin',
      'savepoint sp1',
      'insert quick',
      'rollback to savepoint sp1',
      'release savepoint sp1',
      'savepoint sp1',
      'insert slow1',
      'insert slow2',
      'release savepoint sp1',
      'insert p',
      'commit',
    ])
  })

  test('the loser of a race that fails later rolls back its own work alone', async () => {
    const goOn = gate()
    let loser: Promise<unknown> | undefined
    await outer.block(app, async () => {
      await outer.note(app, 'p')
      const winner = inner.block(app, () => inner.note(app, 'winner'))
      loser = inner.block(app, async () => {
        await inner.note(app, 'loser')
        await goOn.passed
        throw boom
      })
      await Promise.race([winner, loser])
      // COMMIT waits for it, its failure is not the parent's
      void setImmediate().then(() => goOn.open())
    })
    expect(await outcomes([loser])).toEqual(['boom'])
    expect(await app.rows()).toEqual(['p', 'winner'])
    const lines = app.transcript.lines()
    expect(lines.filter((line) => line.startsWith('rollback'))).toEqual([
      'rollback to savepoint sp1',
    ])
    expect(lines.at(-1)).toBe('commit')
  })

  test('all() that nobody catches rolls back at once, and the error of the sibling says where its block began', async () => {
    const goOn = gate()
    let slow: Promise<Error> | undefined
    const failing = outer.block(app, async () => {
      const opened = gate()
      const running = inner.block(app, async () => {
        await inner.note(app, 'slow1')
        opened.open()
        await goOn.passed
        await outer.note(app, 'slow2')
      })
      slow = failureOf(running)
      await Promise.all([running, opened.passed.then(() => Promise.reject(boom))])
    })
    await expect(failing).rejects.toBe(boom)
    goOn.open()
    const error = (await slow) as Error
    expect(error).toBeInstanceOf(TransactionClosedError)
    expect(error.message).toContain('was rolled back')
    expect(error.message).toContain('early-rejection.test.ts')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).toEqual(['begin', 'savepoint sp1', 'insert slow1', 'rollback'])
  })

  test('a failing statement among concurrent ones fails the transaction', async () => {
    const settled: Promise<string[]>[] = []
    const error = await failureOf(
      outer.block(app, async () => {
        await outer.note(app, 'a')
        const statements = [outer.note(app, 'b'), inner.note(app, 'a'), outer.note(app, 'c')].map(
          (note) => Promise.resolve(note),
        )
        settled.push(outcomes(statements))
        await Promise.all(statements).catch(() => undefined)
      }),
    )
    expect(error).toBeInstanceOf(TransactionAbortedError)
    expect(error.cause).toMatchObject({ code: '23505' })
    expect((await settled[0])?.[1]).not.toBe('fulfilled')
    expect(await app.rows()).toEqual([])
    expect(app.transcript.lines()).not.toContain('insert d')
    expect(app.transcript.lines().at(-1)).toBe('commit')
  })
})
